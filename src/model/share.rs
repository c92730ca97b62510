//! A share of a whole as people write it: `20%`. Kept from 0 to 1, so that it can be multiplied.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::yaml::{
    decode::{self, Cx, Decode},
    tree::Node,
};

/// A share of a whole, 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Share(f64);

impl Share {
    /// So many hundredths, at most 100.
    pub const fn percent(percent: u8) -> Self {
        Self(if percent > 100 { 100 } else { percent } as f64 / 100.0)
    }

    /// The share as a number from 0 to 1.
    pub const fn as_f64(self) -> f64 {
        self.0
    }
}

impl FromStr for Share {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = "write a number from 0 to 100 and `%`: `20%`";
        let number = text.strip_suffix('%').ok_or(wrong)?;
        if !number.starts_with(|c: char| c.is_ascii_digit()) {
            return Err(wrong);
        }
        match number.parse::<f64>() {
            Ok(n) if (0.0..=100.0).contains(&n) => Ok(Self(n / 100.0)),
            _ => Err(wrong),
        }
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Rounded to what people write, so that 0.07 × 100 does not show its binary tail.
        write!(f, "{}%", (self.0 * 1e8).round() / 1e6)
    }
}

impl Decode for Share {
    fn decode(node: &Node, cx: &mut Cx) -> Option<Self> {
        decode::from_text(node, "a share such as `20%`", cx)
    }

    fn schema(_: &mut serde_json::Map<String, serde_json::Value>) -> serde_json::Value {
        serde_json::json!({ "type": "string", "pattern": "^[0-9]+(\\.[0-9]+)?%$" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_read_and_write_as_people_do() {
        for (text, same, value) in [
            ("20%", "20%", 0.2),
            ("0%", "0%", 0.0),
            ("100%", "100%", 1.0),
            ("7%", "7%", 0.07),
            ("2.5%", "2.5%", 0.025),
        ] {
            let share: Share = text.parse().unwrap();
            assert_eq!(share.to_string(), same);
            assert!((share.as_f64() - value).abs() < 1e-12);
        }
        for bad in ["20", "0.2", "101%", "-1%", "%", "nan%", "inf%", "1e1000%"] {
            assert!(bad.parse::<Share>().is_err(), "{bad}");
        }
        assert_eq!(Share::percent(20), "20%".parse().unwrap());
    }
}
