//! An amount of bytes as people write it: `32MiB`.

use std::{fmt, str::FromStr};

use crate::yaml::{
    decode::{self, Cx, Decode},
    tree::Node,
};

/// An amount of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Size(pub u64);

const UNITS: &[(&str, u64)] = &[
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1_000),
    ("B", 1),
];

impl Size {
    /// So many mebibytes.
    pub const fn mebibytes(count: u64) -> Self {
        Self(count << 20)
    }
}

impl FromStr for Size {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = "write a number and a unit: `512KiB`, `32MiB`, `1GiB`";
        let digits = text.find(|c: char| !c.is_ascii_digit()).ok_or(wrong)?;
        let (number, unit) = text.split_at(digits);
        let (_, size) = UNITS
            .iter()
            .find(|(u, _)| *u == unit.trim_start())
            .ok_or(wrong)?;
        let number: u64 = number.parse().map_err(|_| wrong)?;
        number
            .checked_mul(*size)
            .map(Self)
            .ok_or("that is too much")
    }
}

impl fmt::Display for Size {
    /// The largest unit that is exact.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fits = |size: u64| self.0 >= size && self.0.is_multiple_of(size);
        let (unit, size) = UNITS
            .iter()
            .take(3)
            .find(|(_, s)| fits(*s))
            .copied()
            .unwrap_or(("B", 1));
        write!(f, "{}{unit}", self.0 / size)
    }
}

impl Decode for Size {
    fn decode(node: &Node, cx: &mut Cx) -> Option<Self> {
        decode::from_text(node, "an amount of bytes such as `32MiB`", cx)
    }

    fn schema(_: &mut serde_json::Map<String, serde_json::Value>) -> serde_json::Value {
        serde_json::json!({ "type": "string", "pattern": "^[0-9]+ ?(B|kB|MB|GB|KiB|MiB|GiB)$" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_read_and_write_as_people_do() {
        for (text, bytes, same) in [
            ("32MiB", 32 << 20, "32MiB"),
            ("1536KiB", 1536 << 10, "1536KiB"),
            ("2 GB", 2_000_000_000, "1953125KiB"),
            ("7B", 7, "7B"),
        ] {
            let size: Size = text.parse().unwrap();
            assert_eq!((size.0, size.to_string().as_str()), (bytes, same));
        }
        for bad in ["", "32", "MiB", "32mib", "99999999999GiB"] {
            assert!(bad.parse::<Size>().is_err(), "{bad}");
        }
    }
}
