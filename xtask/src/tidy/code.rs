//! A Rust file reduced to its code: comments and the insides of literals blanked, every line where it was.
//!
//! Just enough of a lexer that a word found in the result is a word of the program.

/// `source` with comments, strings and characters replaced by spaces.
pub(super) fn code_only(source: &str) -> String {
    let mut code = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(next) = rest.chars().next() {
        let opaque = opaque_len(rest, code.ends_with(is_word));
        let (now, later) = rest.split_at(if opaque > 0 { opaque } else { next.len_utf8() });
        if opaque > 0 {
            code.extend(now.chars().map(|char| if char == '\n' { '\n' } else { ' ' }));
        } else {
            code.push_str(now);
        }
        rest = later;
    }
    code
}

/// Whether `text` has `word` in it, not as a part of a longer one.
pub(super) fn has_word(text: &str, word: &str) -> bool {
    text.match_indices(word).any(|(at, _)| {
        let (before, after) = (text[..at].chars().next_back(), text[at + word.len()..].chars().next());
        !before.is_some_and(is_word) && !after.is_some_and(is_word)
    })
}

fn is_word(char: char) -> bool {
    char.is_alphanumeric() || char == '_'
}

/// The length of the comment or literal that `rest` starts with; 0 if it starts with neither.
fn opaque_len(rest: &str, inside_word: bool) -> usize {
    if rest.starts_with("//") {
        return rest.find('\n').unwrap_or(rest.len());
    }
    if rest.starts_with("/*") {
        return block_comment_len(rest);
    }
    if rest.starts_with('"') {
        return quoted_len(rest, '"');
    }
    if rest.starts_with('\'') {
        return if is_char(rest) { quoted_len(rest, '\'') } else { 0 };
    }
    if inside_word { 0 } else { raw_string_len(rest) }
}

/// A character rather than a lifetime: `'\…` or a quote after exactly one character.
fn is_char(rest: &str) -> bool {
    let mut chars = rest.chars().skip(1);
    chars.next() == Some('\\') || chars.next() == Some('\'')
}

fn quoted_len(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, char) in rest.char_indices().skip(1) {
        match char {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if char == quote => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

fn raw_string_len(rest: &str) -> usize {
    let Some(start) = ["r", "br", "cr"].into_iter().find_map(|prefix| rest.strip_prefix(prefix)) else {
        return 0;
    };
    let hashes = start.len() - start.trim_start_matches('#').len();
    if !start[hashes..].starts_with('"') {
        return 0;
    }
    let open = rest.len() - start.len() + hashes + 1;
    let close = format!("\"{}", &start[..hashes]);
    rest[open..].find(&close).map_or(rest.len(), |at| open + at + close.len())
}

/// Block comments nest.
fn block_comment_len(rest: &str) -> usize {
    let (mut at, mut depth) = (2, 1);
    while depth > 0 {
        let close = rest[at..].find("*/");
        let Some(close) = close else { return rest.len() };
        depth += rest[at..at + close].matches("/*").count();
        depth -= 1;
        at += close + 2;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_literals_are_blanked() {
        for (source, code) in [
            ("a // b\nc", "a     \nc"),
            ("a /* b /* c */ d */ e", "a                   e"),
            (r#"f("// \" x") + 1"#, "f(         ) + 1"),
            (r##"f(r#"a " b"#) + 1"##, "f(          ) + 1"),
            ("f('\"', b'\\'', 'x') + 1", "f(   , b    ,    ) + 1"),
            ("fn f<'a>(x: &'a str)", "fn f<'a>(x: &'a str)"),
            ("r#type + expr\"x\"", "r#type + expr   "),
            ("\"open", "     "),
        ] {
            assert_eq!(code_only(source), code, "{source}");
        }
    }

    #[test]
    fn words_are_whole() {
        assert!(has_word("an unsafe block", "unsafe"));
        assert!(has_word("#[unsafe(no_mangle)]", "unsafe"));
        assert!(!has_word("forbid(unsafe_code)", "unsafe"));
        assert!(has_word("unsafe_code, unsafe", "unsafe"));
    }
}
