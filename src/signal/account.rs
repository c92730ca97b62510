//! Accounts for one cell: who asked, what became of it, in whose words, and what that may mean.

use std::collections::BTreeMap;

use super::{
    ask::Decided,
    cells::{count, distinct, units},
    index::{Index, Key, NONE, Row, date},
    options::Options,
    pattern::{Cause, CauseCode, Observed, Period, Portion, Quote},
    text::medoids,
};

/// How many quotes stand for the rest.
const QUOTES: usize = 3;
/// From this share of denied asks on, guidance may be what is missing.
const DENIED_OFTEN: f64 = 0.25;
/// From this share of asks that call it a defect on, the control may be wrong.
const CALLED_DEFECT: f64 = 0.6;

/// Days after the first until the second, as they are read.
pub(crate) fn period((after, to): (i32, i32)) -> Period {
    Period {
        from: date(after.saturating_add(1)),
        to: date(to),
    }
}

/// All asks of a control after the first day until the second that match a descriptor.
pub(crate) fn rows<'i>(
    index: &'i Index<'_>,
    control: usize,
    key: Key,
    (from, to): (i32, i32),
) -> Vec<&'i Row> {
    let all = index
        .controls
        .get(control)
        .map_or(&[][..], |c| c.between(from, to));
    all.iter().filter(|r| r.matches(key)).collect()
}

/// What was seen of these asks; `members` are those that speak for a pattern.
pub(crate) fn observed(rows: &[&Row], members: &[&Row], options: &Options, today: i32) -> Observed {
    let fresh = || rows.iter().filter(|r| !r.renewal);
    let independent = count(fresh().count());
    let asks: u32 = fresh().map(|r| r.copies).sum();
    let with = |outcome| count(fresh().filter(|r| r.outcome(today) == outcome).count());
    Observed {
        asks,
        independent,
        duplicates: asks - independent,
        units: units(members.iter().copied(), options.cap),
        teams: distinct(members.iter().map(|r| r.team)),
        departments: distinct(members.iter().filter_map(|r| r.department)),
        subjects: members
            .iter()
            .fold(0, |sum, r| sum.saturating_add(r.subjects)),
        approved: with(Decided::Approved),
        denied: with(Decided::Denied),
        pending: with(Decided::Pending),
        unknown: with(Decided::Unknown),
        renewals: count(rows.iter().filter(|r| r.renewal).count()),
    }
}

/// Ids, by day.
pub(crate) fn ids(index: &Index<'_>, members: &[&Row]) -> Vec<String> {
    let asks = members.iter().filter_map(|r| index.ask(r));
    asks.map(|a| a.id.clone()).collect()
}

/// Values with how many asks have each, most first; what is not known is one value.
fn portions<'h>(values: impl Iterator<Item = Option<&'h str>>) -> Vec<Portion> {
    let mut counts: BTreeMap<Option<&str>, u32> = BTreeMap::new();
    for value in values {
        *counts.entry(value).or_default() += 1;
    }
    let mut portions: Vec<Portion> = counts
        .into_iter()
        .map(|(value, asks)| Portion {
            value: value.map(str::to_owned),
            asks,
        })
        .collect();
    portions.sort_by(|x, y| y.asks.cmp(&x.asks).then_with(|| x.value.cmp(&y.value)));
    portions
}

/// The value an ask has of an attribute.
pub(crate) fn value<'h>(index: &Index<'h>, row: &Row, attribute: &str) -> Option<&'h str> {
    row.items
        .iter()
        .filter_map(|item| index.items.get(*item as usize))
        .find(|(name, _)| *name == attribute)
        .map(|(_, value)| *value)
}

/// Reasons of the members.
pub(crate) fn reasons(index: &Index<'_>, members: &[&Row], options: &Options) -> Vec<Portion> {
    let values = members
        .iter()
        .map(|r| value(index, r, &options.watch_attribute));
    portions(values)
}

/// Members by department.
pub(crate) fn departments(index: &Index<'_>, members: &[&Row]) -> Vec<Portion> {
    let name = |r: &&Row| index.departments.get(r.department? as usize).copied();
    portions(members.iter().map(name))
}

/// Up to three asks whose words stand for the rest.
pub(crate) fn quotes(index: &Index<'_>, members: &[&Row], options: &Options) -> Vec<Quote> {
    let asks: Vec<_> = members.iter().filter_map(|r| index.ask(r)).collect();
    let texts: Vec<&str> = asks.iter().map(|a| a.text.as_str()).collect();
    medoids(&index.corpus, &texts, options.similarity, QUOTES)
        .into_iter()
        .filter_map(|m| asks.get(m.at).map(|ask| (ask, m.alike)))
        .map(|(ask, similar_count)| Quote {
            ask: ask.id.clone(),
            text: ask.text.clone(),
            similar_count,
        })
        .collect()
}

/// What may be wrong, the likeliest first.
pub(crate) fn causes(
    index: &Index<'_>,
    key: Key,
    observed: &Observed,
    reasons: &[Portion],
) -> Vec<Cause> {
    let mut causes = Vec::new();
    let mut add = |code, why: String| causes.push(Cause { code, why });
    let members: u32 = reasons.iter().map(|r| r.asks).sum();
    let defects: u32 = reasons
        .iter()
        .filter(|r| {
            matches!(
                r.value.as_deref(),
                Some("false_positive" | "control_defect")
            )
        })
        .map(|r| r.asks)
        .sum();
    if defects > 0 && f64::from(defects) >= CALLED_DEFECT * f64::from(members) {
        let why = format!("{defects} of {members} asks say that the control is wrong about them");
        add(CauseCode::ControlDefect, why);
    }
    let shared = || {
        key.into_iter()
            .filter(|item| *item != NONE)
            .filter_map(|item| index.items.get(item as usize))
    };
    if let Some((_, vendor)) = shared().find(|(name, _)| *name == "vendor") {
        let why = format!("they all depend on the vendor {vendor}");
        add(CauseCode::VendorLimit, why);
    }
    let narrows = |name: &str| name != "vendor" && name != "reason";
    let scope: Vec<String> = shared()
        .filter(|(name, _)| narrows(name))
        .map(|(name, value)| format!("{name} = {value}"))
        .collect();
    if !scope.is_empty() {
        let why = format!("they all have {}", scope.join(" and "));
        add(CauseCode::ScopeTooBroad, why);
    }
    let decided = observed.approved + observed.denied;
    if decided > 0 && f64::from(observed.denied) >= DENIED_OFTEN * f64::from(decided) {
        let why = format!("{} of {decided} were denied", observed.denied);
        add(CauseCode::GuidanceGap, why);
    }
    if key == super::index::ALL || causes.is_empty() {
        causes.push(Cause {
            code: CauseCode::ThresholdTight,
            why: if key == super::index::ALL {
                "the asks share nothing but the control".to_owned()
            } else {
                "the asks share a reason, wherever they come from".to_owned()
            },
        });
    }
    causes
}
