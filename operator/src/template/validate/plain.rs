//! What the values of a parameter may be made of, by its type and its pattern.

use crds::template::{Parameter, ParameterType};
use regex_syntax::hir::{Class, Hir, HirKind};

/// Whether a customer may begin its text with a hyphen. Choices and numbers are the template's own words.
pub fn may_begin_with_hyphen(parameter: &Parameter) -> bool {
    parameter.type_ == ParameterType::String
        && parsed(parameter).is_none_or(|pattern| first_of(&pattern).hyphen)
}

/// Whether its value may be the empty text.
pub fn may_be_empty(parameter: &Parameter) -> bool {
    match parameter.type_ {
        ParameterType::Integer | ParameterType::Boolean => false,
        ParameterType::Enum => parameter.values.iter().any(String::is_empty),
        ParameterType::String => {
            parameter.min_length.unwrap_or_default() < 1
                && parsed(parameter).is_none_or(|pattern| first_of(&pattern).empty)
        }
    }
}

fn parsed(parameter: &Parameter) -> Option<Hir> {
    let mut parser = regex_syntax::ParserBuilder::new().unicode(false).utf8(false).build();
    parameter.pattern.as_ref().and_then(|pattern| parser.parse(pattern).ok())
}

/// What a match may begin with.
#[derive(Clone, Copy)]
struct First {
    /// A hyphen.
    hyphen: bool,
    /// Nothing: it may be empty, and then what follows it counts.
    empty: bool,
}

fn first_of(pattern: &Hir) -> First {
    match pattern.kind() {
        HirKind::Empty | HirKind::Look(_) => First { hyphen: false, empty: true },
        HirKind::Literal(literal) => First { hyphen: literal.0.first() == Some(&b'-'), empty: false },
        HirKind::Class(Class::Bytes(class)) => {
            let hyphen = class.iter().any(|range| (range.start()..=range.end()).contains(&b'-'));
            First { hyphen, empty: false }
        }
        HirKind::Class(Class::Unicode(class)) => {
            let hyphen = class.iter().any(|range| (range.start()..=range.end()).contains(&'-'));
            First { hyphen, empty: false }
        }
        HirKind::Repetition(repetition) => {
            let sub = first_of(&repetition.sub);
            let never = repetition.max == Some(0);
            First { hyphen: sub.hyphen && !never, empty: sub.empty || repetition.min == 0 }
        }
        HirKind::Capture(capture) => first_of(&capture.sub),
        HirKind::Concat(parts) => {
            let mut all = First { hyphen: false, empty: true };
            for part in parts.iter().map(first_of) {
                all.hyphen |= all.empty && part.hyphen;
                all.empty &= part.empty;
            }
            all
        }
        HirKind::Alternation(parts) => {
            parts.iter().map(first_of).fold(First { hyphen: false, empty: false }, |all, part| First {
                hyphen: all.hyphen || part.hyphen,
                empty: all.empty || part.empty,
            })
        }
    }
}

/// Whether every value that a parameter may have is made of characters that mean nothing to any language: letters,
/// digits and `. _ + @ % -`; in the template's own choices also `/`, `:` and `,`.
pub fn is_plain(parameter: &Parameter) -> bool {
    match parameter.type_ {
        ParameterType::Integer | ParameterType::Boolean => true,
        ParameterType::Enum => {
            parameter.values.iter().all(|value| value.chars().all(|c| is_harmless(c) || "/:,".contains(c)))
        }
        ParameterType::String => parsed(parameter).is_some_and(|pattern| is_harmless_pattern(&pattern)),
    }
}

fn is_harmless(c: char) -> bool {
    c.is_ascii_alphanumeric() || "._+@%-".contains(c)
}

fn is_harmless_pattern(pattern: &Hir) -> bool {
    match pattern.kind() {
        HirKind::Empty | HirKind::Look(_) => true,
        HirKind::Literal(literal) => literal.0.iter().all(|byte| is_harmless(char::from(*byte))),
        HirKind::Class(Class::Bytes(class)) => {
            class.iter().all(|range| (range.start()..=range.end()).all(|byte| is_harmless(char::from(byte))))
        }
        HirKind::Class(Class::Unicode(class)) => {
            class.iter().all(|range| range.end().is_ascii() && (range.start()..=range.end()).all(is_harmless))
        }
        HirKind::Repetition(repetition) => is_harmless_pattern(&repetition.sub),
        HirKind::Capture(capture) => is_harmless_pattern(&capture.sub),
        HirKind::Concat(parts) | HirKind::Alternation(parts) => parts.iter().all(is_harmless_pattern),
    }
}
