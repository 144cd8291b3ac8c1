//! One source file in which all its mutants stand beside the original, each behind a switch.
//!
//! | mutant | becomes |
//! |---|---|
//! | a function's value | `if is(n) { return value; }` before its body |
//! | an operator | `(if is(n) { with the other operator } else { the original })` around the expression |
//! | a deleted arm | a guard of the arm, `if !is(n)` |
//! | a guard | `(if is(n) { true } else { the original })` |
//! | a deleted field | as an operator, around the literal |
//!
//! cargo-mutants replaces text, so that another operator can bind its neighbours in another way: what is copied is the widest
//! expression in which that can show. A copy holds no other mutants, as only one is ever selected; the original
//! does. What a constant is made of is decided before any switch could be: it is left out. So is `||` where an operand is `let`: that
//! is not Rust.

use std::collections::HashMap;
use std::ops::Range;

use anyhow::{Context, Result};
use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{BinOp, Expr};

use crate::list::{Genre, Mutant};
use crate::splice::{Alternative, Splice};

/// How source text asks for mutant `number`.
fn is(number: u32) -> String {
    format!("crate::pt_mutant::is({number})")
}

/// The insertions that bring `mutants` (of one file, with their numbers) into `text`, that file. Those that are nowhere in them have
/// no form behind a switch, or are refused: whoever writes them writes no Rust.
pub(crate) fn insertions(text: &str, mutants: &[(u32, &Mutant)]) -> Result<(Splice, Vec<u32>)> {
    let file = syn::parse_file(text).context("a file of the workspace is not Rust")?;
    let mut places = HashMap::<_, Vec<_>>::new();
    for &(number, mutant) in mutants {
        let bytes = mutant.bytes(text).context("a mutant lies outside of its file")?;
        places.entry((mutant.genre, bytes.start)).or_default().push((number, bytes, mutant));
    }
    let (splice, refused) = (Splice::default(), Vec::new());
    let mut schema = Schema { text, places, splice, refused, chain: None, constant: false };
    schema.visit_file(&file);
    Ok((schema.splice, schema.refused))
}

type Place<'a> = (u32, Range<usize>, &'a Mutant);

/// The expression whose operators are being visited: the widest one around them in which only operators lie between.
#[derive(Clone)]
struct Chain {
    bytes: Range<usize>,
    /// `&&` and `||`, which bind weaker than all others: operators inside their operands stay there.
    logical: bool,
    /// Whether an operand is `let`, which no other expression may hold.
    binds: bool,
}

struct Schema<'a> {
    text: &'a str,
    places: HashMap<(Genre, usize), Vec<Place<'a>>>,
    splice: Splice,
    refused: Vec<u32>,
    /// That of the expression above, if that is an operator.
    chain: Option<Chain>,
    /// Whether this is evaluated by the compiler.
    constant: bool,
}

impl<'a> Schema<'a> {
    /// The mutants of that genre that begin there.
    fn at(&mut self, genre: Genre, start: usize) -> Vec<Place<'a>> {
        if self.constant {
            return Vec::new();
        }
        self.places.remove(&(genre, start)).unwrap_or_default()
    }

    /// Copies of what lies at `around`, one for each of the mutants inside it.
    fn wrap(&mut self, around: &Range<usize>, places: Vec<Place<'a>>) {
        for (number, bytes, mutant) in places {
            let before = &self.text[around.start..bytes.start];
            let after = &self.text[bytes.end..around.end];
            let text = format!("{before}{}{after}", mutant.replacement);
            self.splice.wrap(around.clone(), Alternative { number, test: is(number), text });
        }
    }

    fn function(&mut self, block: &syn::Block) {
        let Some(first) = block.stmts.first() else { return };
        let start = first.span().byte_range().start;
        for (number, _, mutant) in self.at(Genre::FnValue, start) {
            let text = format!("if {} {{ return {}; }} ", is(number), mutant.replacement);
            self.splice.insert(start, number, text);
        }
    }

    fn evaluated_early(&mut self, visit: impl FnOnce(&mut Self)) {
        let outer = std::mem::replace(&mut self.constant, true);
        visit(self);
        self.constant = outer;
    }
}

impl<'ast> Visit<'ast> for Schema<'_> {
    fn visit_item_fn(&mut self, node: &'ast syn::ItemFn) {
        self.function(&node.block);
        visit::visit_item_fn(self, node);
    }

    fn visit_impl_item_fn(&mut self, node: &'ast syn::ImplItemFn) {
        self.function(&node.block);
        visit::visit_impl_item_fn(self, node);
    }

    fn visit_trait_item_fn(&mut self, node: &'ast syn::TraitItemFn) {
        if let Some(block) = &node.default {
            self.function(block);
        }
        visit::visit_trait_item_fn(self, node);
    }

    fn visit_expr(&mut self, node: &'ast Expr) {
        let above = self.chain.take();
        if matches!(node, Expr::Binary(_)) {
            self.chain = above;
        }
        visit::visit_expr(self, node);
    }

    fn visit_expr_binary(&mut self, node: &'ast syn::ExprBinary) {
        let above = self.chain.take();
        let logical = is_logical(&node.op);
        let chain = above.filter(|chain| chain.logical == logical).unwrap_or_else(|| Chain {
            bytes: node.span().byte_range(),
            logical,
            binds: logical && binds(&node.left, &node.right),
        });
        let places = self.at(Genre::BinaryOperator, node.op.span().byte_range().start);
        if chain.binds {
            self.refused.extend(places.iter().map(|(number, ..)| number));
        } else {
            self.wrap(&chain.bytes, places);
        }
        let below = (!assigns(&node.op)).then_some(chain);
        for side in [&node.left, &node.right] {
            self.chain.clone_from(&below);
            self.visit_expr(side);
        }
        self.chain = None;
    }

    fn visit_expr_unary(&mut self, node: &'ast syn::ExprUnary) {
        let places = self.at(Genre::UnaryOperator, node.op.span().byte_range().start);
        self.wrap(&node.span().byte_range(), places);
        visit::visit_expr_unary(self, node);
    }

    fn visit_arm(&mut self, node: &'ast syn::Arm) {
        let pattern = node.pat.span().byte_range().end;
        for (number, _, _) in self.at(Genre::MatchArm, node.span().byte_range().start) {
            self.splice.insert(pattern, number, format!(" if !{}", is(number)));
        }
        if let Some((_, guard)) = &node.guard {
            let guard = guard.span().byte_range();
            let places = self.at(Genre::MatchArmGuard, guard.start);
            self.wrap(&guard, places);
        }
        visit::visit_arm(self, node);
    }

    fn visit_expr_struct(&mut self, node: &'ast syn::ExprStruct) {
        for field in &node.fields {
            let places = self.at(Genre::StructField, field.span().byte_range().start);
            self.wrap(&node.span().byte_range(), places);
        }
        visit::visit_expr_struct(self, node);
    }

    fn visit_item_const(&mut self, node: &'ast syn::ItemConst) {
        self.evaluated_early(|schema| visit::visit_item_const(schema, node));
    }

    fn visit_item_static(&mut self, node: &'ast syn::ItemStatic) {
        self.evaluated_early(|schema| visit::visit_item_static(schema, node));
    }

    fn visit_impl_item_const(&mut self, node: &'ast syn::ImplItemConst) {
        self.evaluated_early(|schema| visit::visit_impl_item_const(schema, node));
    }

    fn visit_trait_item_const(&mut self, node: &'ast syn::TraitItemConst) {
        self.evaluated_early(|schema| visit::visit_trait_item_const(schema, node));
    }

    fn visit_expr_const(&mut self, node: &'ast syn::ExprConst) {
        self.evaluated_early(|schema| visit::visit_expr_const(schema, node));
    }

    fn visit_expr_repeat(&mut self, node: &'ast syn::ExprRepeat) {
        self.visit_expr(&node.expr);
        self.evaluated_early(|schema| schema.visit_expr(&node.len));
    }

    fn visit_type_array(&mut self, node: &'ast syn::TypeArray) {
        self.evaluated_early(|schema| visit::visit_type_array(schema, node));
    }

    fn visit_generic_argument(&mut self, node: &'ast syn::GenericArgument) {
        self.evaluated_early(|schema| visit::visit_generic_argument(schema, node));
    }

    fn visit_variant(&mut self, node: &'ast syn::Variant) {
        self.evaluated_early(|schema| visit::visit_variant(schema, node));
    }
}

fn is_logical(op: &BinOp) -> bool {
    matches!(op, BinOp::And(_) | BinOp::Or(_))
}

/// Whether the operator assigns, which binds weaker than all others do.
fn assigns(op: &BinOp) -> bool {
    use BinOp::{
        AddAssign, BitAndAssign, BitOrAssign, BitXorAssign, DivAssign, MulAssign, RemAssign, ShlAssign,
        ShrAssign, SubAssign,
    };
    matches!(
        op,
        AddAssign(_)
            | SubAssign(_)
            | MulAssign(_)
            | DivAssign(_)
            | RemAssign(_)
            | BitXorAssign(_)
            | BitAndAssign(_)
            | BitOrAssign(_)
            | ShlAssign(_)
            | ShrAssign(_)
    )
}

/// Whether one of a chain's operands is `let`.
fn binds(left: &Expr, right: &Expr) -> bool {
    [left, right].into_iter().any(|side| match side {
        Expr::Let(_) => true,
        Expr::Binary(inner) if is_logical(&inner.op) => binds(&inner.left, &inner.right),
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::list::{Position, Span};

    /// `text` with a mutant that replaces `original`, which is there once.
    fn with(text: &str, genre: Genre, original: &str, replacement: &str) -> String {
        let start = text.find(original).unwrap();
        let at = |byte: usize| Position { line: 1, column: byte + 1 };
        let mutant = Mutant {
            name: String::new(),
            package: String::new(),
            file: String::new(),
            function: None,
            span: Span { start: at(start), end: at(start + original.len()) },
            replacement: replacement.to_owned(),
            genre,
        };
        let (splice, refused) = insertions(text, &[(7, &mutant)]).unwrap();
        if refused == [7] {
            return "refused".to_owned();
        }
        let spliced = splice.apply(text, |_| true);
        spliced.text.replace("crate::pt_mutant::is", "is")
    }

    #[test]
    fn every_genre_has_its_form() {
        assert_eq!(
            with("fn f() -> u8 { 1 }", Genre::FnValue, "1", "0"),
            "fn f() -> u8 { if is(7) { return 0; } 1 }"
        );
        let text = "fn f() { match x { A => 1, _ if g => 2 } }";
        assert_eq!(
            with(text, Genre::MatchArm, "A => 1,", ""),
            "fn f() { match x { A if !is(7) => 1, _ if g => 2 } }"
        );
        assert_eq!(
            with(text, Genre::MatchArmGuard, "g", "true"),
            "fn f() { match x { A => 1, _ if (if is(7) { true } else { g }) => 2 } }"
        );
        assert_eq!(
            with("fn f() { S { a: 1, ..b } }", Genre::StructField, "a: 1,", ""),
            "fn f() { (if is(7) { S {  ..b } } else { S { a: 1, ..b } }) }"
        );
        assert_eq!(
            with("fn f() { g(!a & b) }", Genre::UnaryOperator, "!", ""),
            "fn f() { g((if is(7) { a } else { !a }) & b) }"
        );
    }

    #[test]
    fn operators_keep_their_neighbours() {
        let of = |text: &str, original, replacement| with(text, Genre::BinaryOperator, original, replacement);
        // The shift binds stronger than what is left of it, whichever way it goes, and that is copied along.
        assert_eq!(
            of("fn f() { a & b & c << 1 }", "<<", ">>"),
            "fn f() { (if is(7) { a & b & c >> 1 } else { a & b & c << 1 }) }"
        );
        assert_eq!(
            of("fn f() { a && b == c || d }", "==", "!="),
            "fn f() { a && (if is(7) { b != c } else { b == c }) || d }"
        );
        assert_eq!(
            of("fn f() { a && b == c || d }", "&&", "||"),
            "fn f() { (if is(7) { a || b == c || d } else { a && b == c || d }) }"
        );
        assert_eq!(
            of("fn f() { a *= b + c; }", "+", "-"),
            "fn f() { a *= (if is(7) { b - c } else { b + c }); }"
        );
        assert_eq!(of("fn f() { a *= b; }", "*=", "/="), "fn f() { (if is(7) { a /= b } else { a *= b }); }");
        assert_eq!(
            of("fn f() { a * g(b + c) }", "+", "-"),
            "fn f() { a * g((if is(7) { b - c } else { b + c })) }"
        );
    }

    #[test]
    fn some_have_none() {
        let unchanged = |text: &str, original, replacement| {
            assert_eq!(with(text, Genre::BinaryOperator, original, replacement), text);
        };
        unchanged("const A: u8 = 1 + 2;", "+", "-");
        unchanged("fn f() { [0; 1 + 2] }", "+", "-");
    }

    #[test]
    fn a_pattern_is_no_operand_of_or() {
        for text in ["fn f() { if let Some(a) = b && c {} }", "fn f() { if a && b | c == d && let E = g {} }"]
        {
            assert_eq!(with(text, Genre::BinaryOperator, "&&", "||"), "refused");
        }
        assert_eq!(
            with("fn f() { if a == b && let E = g {} }", Genre::BinaryOperator, "==", "!="),
            "fn f() { if (if is(7) { a != b } else { a == b }) && let E = g {} }"
        );
    }
}
