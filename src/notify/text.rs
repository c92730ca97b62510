//! Words and instants as people read them, and names of strangers made harmless: a subject's name
//! comes from somebody else's system, so it can hold line breaks, markup and text that runs backwards.
//! Everything here is pure.

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};

/// One line: every control character, line break and change of direction becomes a space, and
/// spaces in a row become one.
pub fn line(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        let c = if is_unseen(c) { ' ' } else { c };
        if !(c == ' ' && (out.is_empty() || out.ends_with(' '))) {
            out.push(c);
        }
    }
    out.truncate(out.trim_end().len());
    out
}

/// As [`line`], keeping the line breaks of a text that has several lines.
pub fn block(text: &str) -> String {
    let lines: Vec<String> = text
        .lines()
        .map(|l| {
            l.chars()
                .map(|c| if is_unseen(c) { ' ' } else { c })
                .collect::<String>()
        })
        .map(|l| l.trim_end().to_owned())
        .collect();
    lines.join("\n").trim().to_owned()
}

/// Controls, separators of lines, marks that change the direction of writing, and marks without width.
fn is_unseen(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{00ad}' | '\u{061c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// At most `limit` characters; what is cut is replaced by `…`.
pub fn clip(text: &str, limit: usize) -> String {
    if text.chars().count() <= limit {
        return text.to_owned();
    }
    let mut out: String = text.chars().take(limit.saturating_sub(1)).collect();
    out.truncate(out.trim_end().len());
    out.push('…');
    out
}

/// `20 Nov 2026 08:05 UTC`.
pub fn instant(at: DateTime<Utc>) -> String {
    at.format("%-d %b %Y %H:%M UTC").to_string()
}

/// `20 Nov 2026`.
pub fn day(date: NaiveDate) -> String {
    date.format("%-d %b %Y").to_string()
}

/// `41 d`, `3 h`, `5 min`, `less than a minute`: the largest unit that fits, cut off.
pub fn length(delta: TimeDelta) -> String {
    let minutes = delta.num_minutes().abs();
    match minutes {
        0 => "less than a minute".to_owned(),
        1..60 => format!("{minutes} min"),
        60..2880 => format!("{} h", minutes / 60),
        _ => format!("{} d", minutes / 1440),
    }
}

/// `1 day`, `2 days`, `1,204 subjects`.
pub fn counted(n: u64, noun: &str) -> String {
    let plural = if n == 1 { "" } else { "s" };
    format!("{} {noun}{plural}", thousands(n))
}

/// `5,000`.
pub fn thousands(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(c);
    }
    out
}

/// `1st`, `2nd`, `3rd`, `11th`.
pub fn ordinal(n: u32) -> String {
    let suffix = match (n % 10, n % 100) {
        (_, 11..=13) => "th",
        (1, _) => "st",
        (2, _) => "nd",
        (3, _) => "rd",
        _ => "th",
    };
    format!("{n}{suffix}")
}

/// The part of a subject's id that its own system knows: `aws/secret/svc-07` is `svc-07` there.
pub fn native(subject: &str) -> &str {
    subject
        .splitn(3, '/')
        .nth(2)
        .filter(|n| !n.is_empty())
        .unwrap_or(subject)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_from_outside_stays_on_its_line_and_in_its_direction() {
        assert_eq!(line("a\r\nBcc: x@example.test"), "a Bcc: x@example.test");
        assert_eq!(line("  a\t\u{0} \u{202e}b\u{2028}c  "), "a b c");
        assert_eq!(block("first  \r\n\r\nsecond\u{7}\n"), "first\n\nsecond");
    }

    #[test]
    fn clipping_counts_characters() {
        assert_eq!(clip("größer", 6), "größer");
        assert_eq!(clip("größer", 4), "grö…");
    }

    #[test]
    fn lengths_are_told_in_the_largest_unit_that_says_enough() {
        let told = |minutes| length(TimeDelta::minutes(minutes));
        assert_eq!(told(0), "less than a minute");
        assert_eq!(told(59), "59 min");
        assert_eq!(told(47 * 60), "47 h");
        assert_eq!(told(41 * 1440), "41 d");
    }

    #[test]
    fn numbers_read_as_people_write_them() {
        assert_eq!(counted(5_000, "subject"), "5,000 subjects");
        assert_eq!(counted(1, "subject"), "1 subject");
        assert_eq!(thousands(1_234_567), "1,234,567");
        assert_eq!(
            [1, 2, 3, 4, 11, 12, 13, 21, 112].map(ordinal).join(" "),
            "1st 2nd 3rd 4th 11th 12th 13th 21st 112th"
        );
    }

    #[test]
    fn the_native_name_is_what_its_system_calls_it() {
        assert_eq!(
            native("mlflow/model-version/credit-scorer/3"),
            "credit-scorer/3"
        );
        assert_eq!(native("odd"), "odd");
        assert_eq!(native("a/b/"), "a/b/");
    }
}
