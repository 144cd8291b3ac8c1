//! Which number each register has: the machine's description as gdb understands it.
//!
//! It is XML of a kind that needs no parser: elements without content, `<reg name="cr3" regnum="29"/>`, and
//! `<xi:include href="…"/>` for another file. A register without a number has the one after its predecessor's (GDB
//! manual, "Target Description Format").

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};

/// No description of a CPU is nested deeper.
const DEPTH: usize = 4;

/// The numbers of all registers that the file `name` and those that it includes describe.
pub(super) fn registers(
    name: &str,
    read: &mut impl FnMut(&str) -> Result<String>,
) -> Result<BTreeMap<String, usize>> {
    let mut all = Registers { numbers: BTreeMap::new(), next: 0 };
    all.of_file(name, read, DEPTH)?;
    Ok(all.numbers)
}

struct Registers {
    numbers: BTreeMap<String, usize>,
    next: usize,
}

impl Registers {
    fn of_file(
        &mut self,
        name: &str,
        read: &mut impl FnMut(&str) -> Result<String>,
        depth: usize,
    ) -> Result<()> {
        if depth == 0 {
            bail!("descriptions include one another too deeply, or in a circle: {name}");
        }
        let text = read(name)?;
        for element in without_comments(&text).split('<').skip(1) {
            if let Some(attributes) = element.strip_prefix("xi:include ") {
                let file = attribute(attributes, "href").context("an include without a name")?;
                self.of_file(file, read, depth - 1)?;
            } else if let Some(attributes) = element.strip_prefix("reg ") {
                let name = attribute(attributes, "name").context("a register without a name")?;
                if let Some(number) = attribute(attributes, "regnum") {
                    self.next = number.parse().with_context(|| format!("the number of {name}: {number}"))?;
                }
                self.numbers.insert(name.to_owned(), self.next);
                self.next += 1;
            }
        }
        Ok(())
    }
}

fn without_comments(text: &str) -> String {
    let mut parts = text.split("<!--");
    let first = parts.next().unwrap_or_default().to_owned();
    first + &parts.filter_map(|part| Some(part.split_once("-->")?.1)).collect::<String>()
}

fn attribute<'a>(attributes: &'a str, name: &str) -> Option<&'a str> {
    let (_, value) = attributes.split_once(&format!("{name}=\""))?;
    value.split('"').next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registers_are_numbered_in_order_unless_they_say() {
        let files = BTreeMap::from([
            ("target.xml", "<target><xi:include href=\"core.xml\"/><xi:include href=\"more.xml\"/></target>"),
            (
                "core.xml",
                "<!-- <reg name=\"none\"/> --><feature>\n<reg name=\"rax\" bitsize=\"64\" regnum=\"0\"/>\n\
                 <reg name=\"rbx\" bitsize=\"64\"/><flags id=\"f\"><field name=\"CF\" start=\"0\"/></flags>",
            ),
            ("more.xml", "<reg name=\"cr0\" regnum=\"27\"/><reg name=\"cr2\"/><reg name=\"cr3\"/>"),
        ]);
        let mut read = |name: &str| files.get(name).map(|&text| text.to_owned()).context("no such file");
        let numbers = registers("target.xml", &mut read).expect("three files");
        let numbers: Vec<_> = numbers.iter().map(|(name, &number)| (name.as_str(), number)).collect();
        assert_eq!(numbers, [("cr0", 27), ("cr2", 28), ("cr3", 29), ("rax", 0), ("rbx", 1)]);
    }

    #[test]
    fn a_circle_ends() {
        let mut read = |_: &str| Ok("<xi:include href=\"target.xml\"/>".to_owned());
        assert!(registers("target.xml", &mut read).is_err());
    }
}
