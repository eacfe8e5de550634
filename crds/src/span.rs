//! Spans of time as people write them in resources: `36h`, `14d`.

use jiff::SignedDuration;

/// What the resource schema accepts for a span.
pub const SPAN_PATTERN: &str = "^[1-9][0-9]{0,4}[hd]$";

/// Parses a span such as `36h` or `14d` (a day is 24 hours).
///
/// # Errors
/// A sentence for people, when the text is not a positive whole number of at most five digits with `h` or `d`.
pub fn parse_span(text: &str) -> Result<SignedDuration, String> {
    let wrong = || format!("{text:?} is not a span of time: write hours or days, such as 36h or 14d");
    let hours = match text.split_at_checked(text.len().saturating_sub(1)) {
        Some((digits, unit @ ("h" | "d"))) if (1..=5).contains(&digits.len()) => {
            let count: i64 = digits.parse().map_err(|_| wrong())?;
            if unit == "d" { count * 24 } else { count }
        }
        _ => return Err(wrong()),
    };
    if hours < 1 {
        return Err(wrong());
    }
    Ok(SignedDuration::from_hours(hours))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_and_days_are_read() {
        assert_eq!(parse_span("36h"), Ok(SignedDuration::from_hours(36)));
        assert_eq!(parse_span("14d"), Ok(SignedDuration::from_hours(336)));
    }

    #[test]
    fn everything_else_is_refused_with_what_to_write() {
        for text in ["", "d", "0d", "-1d", "1.5d", "14", "14m", "999999d", "١d", "é"] {
            let error = parse_span(text).unwrap_err();
            assert!(error.contains("14d"), "{text}: {error}");
        }
    }
}
