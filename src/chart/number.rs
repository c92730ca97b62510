//! How a number is written. The one place for it, so that a chart, a table and a sentence never differ.

/// With so many digits after the point; never `-0`.
pub fn fixed(value: f64, digits: usize) -> String {
    let written = format!("{value:.digits$}");
    let is_zero = written.chars().all(|c| matches!(c, '-' | '0' | '.'));
    if is_zero {
        written.trim_start_matches('-').to_owned()
    } else {
        written
    }
}

/// One digit after the point below ten, none from there on, and none that is zero: `0.5`, `3`, `41`.
pub fn brief(value: f64) -> String {
    let written = fixed(value, usize::from(value.abs() < 9.95));
    written
        .strip_suffix(".0")
        .map_or(written.clone(), str::to_owned)
}

/// How many times as many: `0.31`, `3.1`, `41`.
pub fn times(value: f64) -> String {
    if value.abs() < 0.995 {
        fixed(value, 2)
    } else {
        fixed(value, usize::from(value.abs() < 9.95))
    }
}

/// From 0 to 1 as `46 %`; what is not quite nothing or not quite all does not read as that.
pub fn percent(ratio: f64) -> String {
    let hundredths = ratio * 100.0;
    if hundredths > 0.0 && hundredths < 0.5 {
        "below 1 %".to_owned()
    } else if hundredths > 99.5 && hundredths < 100.0 {
        "above 99 %".to_owned()
    } else {
        format!("{} %", fixed(hundredths, 0))
    }
}

/// Two significant digits, without an exponent: `0.043`, `0.00002`.
pub fn probability(value: f64) -> String {
    if value < 0.000_001 {
        return "below 0.000001".to_owned();
    }
    if value >= 0.1 {
        return fixed(value, 2);
    }
    let mut digits = 3;
    let mut scaled = value * 100.0;
    while scaled < 1.0 && digits < 7 {
        scaled *= 10.0;
        digits += 1;
    }
    let written = fixed(value, digits);
    written.trim_end_matches('0').to_owned()
}

/// A coordinate: at most two digits after the point.
pub fn place(value: f64) -> String {
    let written = fixed(value, 2);
    written
        .trim_end_matches('0')
        .trim_end_matches('.')
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short_and_do_not_lie() {
        assert_eq!([0.5, 3.0, 9.96, 41.2].map(brief).join(" "), "0.5 3 10 41");
        assert_eq!(
            [0.312, 1.0, 3.12, 41.2].map(times).join(" "),
            "0.31 1.0 3.1 41"
        );
        assert_eq!(
            [0.0, 0.001, 0.46, 0.999, 1.0].map(percent).join(", "),
            "0 %, below 1 %, 46 %, above 99 %, 100 %"
        );
        assert_eq!(
            [0.43, 0.043, 0.000_02, 6.6e-4, 1e-9]
                .map(probability)
                .join(" "),
            "0.43 0.043 0.00002 0.00066 below 0.000001"
        );
        assert_eq!(fixed(-0.01, 1), "0.0");
        assert_eq!(
            [1.0, 1.25, 1.256, 100.0].map(place).join(" "),
            "1 1.25 1.26 100"
        );
    }
}
