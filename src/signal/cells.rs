//! Cells: a control and up to two attribute values, with the asks that match. What counts in a cell are units: asks,
//! but of each team no more than a few, so that one busy team is not breadth.

use super::{
    index::{ALL, Index, Key, NONE, Row},
    options::Options,
};

/// How many asks count when each team's are capped.
pub(crate) fn units<'r>(rows: impl IntoIterator<Item = &'r Row>, cap: u32) -> u32 {
    capped(rows.into_iter().map(|r| r.team).collect(), cap)
}

fn capped(mut teams: Vec<u32>, cap: u32) -> u32 {
    teams.sort_unstable();
    let runs = teams.chunk_by(|x, y| x == y);
    runs.map(|run| count(run.len()).min(cap)).sum()
}

/// How many different ones there are.
pub(crate) fn distinct(values: impl IntoIterator<Item = u32>) -> u32 {
    let mut values: Vec<u32> = values.into_iter().collect();
    values.sort_unstable();
    values.dedup();
    count(values.len())
}

/// A length as a count.
pub(crate) fn count(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

/// Every non-empty cell of one control, sorted by descriptor. Itemsets of one and two are enumerated: there are few
/// enough that pruning would cost more (Agrawal and Srikant 1994 solve a larger problem).
pub(crate) fn cells<'r>(rows: &[&'r Row], attributes: usize) -> Vec<(Key, Vec<&'r Row>)> {
    let mut members: Vec<(Key, usize, &Row)> = Vec::with_capacity(rows.len() * 16);
    for (at, row) in rows.iter().enumerate() {
        members.push((ALL, at, row));
        if attributes == 0 {
            continue;
        }
        for (place, first) in row.items.iter().enumerate() {
            members.push(([*first, NONE], at, row));
            if attributes >= 2 {
                for second in row.items.iter().skip(place + 1) {
                    members.push(([*first, *second], at, row));
                }
            }
        }
    }
    members.sort_unstable_by_key(|(key, at, _)| (*key, *at));
    members
        .chunk_by(|x, y| x.0 == y.0)
        .filter_map(|run| Some((run.first()?.0, run.iter().map(|m| m.2).collect())))
        .collect()
}

/// How many attributes a descriptor has.
pub(crate) fn arity(key: Key) -> u32 {
    count(key.into_iter().filter(|item| *item != NONE).count())
}

/// What share of the units of other controls has a descriptor.
///
/// A control's own asks are left out, else a large pattern would hide itself. Two attributes may go together
/// everywhere (a team's vendor and its region): then their joint share is what to expect of both, and not the product.
#[derive(Debug)]
pub(crate) struct Shares {
    /// Units by attribute value or pair of them, sorted: of all controls, and of each.
    all: Vec<(Key, u32)>,
    own: Vec<(Key, u32, u32)>,
    attribute_of: Vec<u32>,
    attributes: u32,
    smoothing: f64,
}

/// In place of a value: the units of which an attribute is counted, known or not.
const OF: u32 = NONE - 1;

impl Shares {
    /// Over the time from which shares are taken.
    pub(crate) fn recent(index: &Index<'_>, options: &Options, today: i32) -> Self {
        let span = super::emergence::days(options.shares_weeks);
        Self::of(index, (today - span, today), options)
    }

    /// Over the asks after `from` and until `to` that count.
    pub(crate) fn of(index: &Index<'_>, (from, to): (i32, i32), options: &Options) -> Self {
        let attributes = count(index.attributes.len());
        let mut own: Vec<(Key, u32, u32)> = Vec::new();
        let mut held: Vec<(Key, u32)> = Vec::new();
        for (entry, control) in index.controls.iter().zip(0..) {
            held.clear();
            for row in entry.between(from, to).iter().filter(|r| r.counts(to)) {
                held.push((ALL, row.team));
                for (place, first) in row.items.iter().enumerate() {
                    held.push(([*first, NONE], row.team));
                    if options.attributes >= 2 {
                        let others = row.items.iter().skip(place + 1);
                        held.extend(others.map(|second| ([*first, *second], row.team)));
                    }
                }
                // A value that is not known is one more value.
                let mut known = row
                    .items
                    .iter()
                    .filter_map(|i| index.attribute_of.get(*i as usize));
                let mut next = known.next();
                for attribute in 0..attributes {
                    if next == Some(&attribute) {
                        next = known.next();
                    } else {
                        held.push(([attribute, OF], row.team));
                    }
                }
            }
            held.sort_unstable();
            let runs = held.chunk_by(|x, y| x == y);
            let capped = runs.filter_map(|r| Some((r.first()?.0, count(r.len()).min(options.cap))));
            let mut sums: Vec<(Key, u32)> = Vec::new();
            for (key, units) in capped {
                match sums.last_mut() {
                    Some(last) if last.0 == key => last.1 += units,
                    _ => sums.push((key, units)),
                }
            }
            // The units of which each attribute is counted: of all its values, and of those that are not known.
            let mut of = vec![0; attributes as usize];
            for ([item, second], units) in &sums {
                let attribute = match *second {
                    NONE => index.attribute_of.get(*item as usize).copied(),
                    OF => Some(*item),
                    _ => None,
                };
                if let Some(sum) = attribute.and_then(|a| of.get_mut(a as usize)) {
                    *sum += units;
                }
            }
            sums.retain(|(key, _)| key[1] != OF);
            sums.extend(of.into_iter().zip(0..).map(|(sum, a)| ([a, OF], sum)));
            own.extend(sums.into_iter().map(|(key, units)| (key, control, units)));
        }
        own.sort_unstable();
        let all = own
            .chunk_by(|x, y| x.0 == y.0)
            .filter_map(|run| Some((run.first()?.0, run.iter().map(|x| x.2).sum())))
            .collect();
        Self {
            all,
            own,
            attribute_of: index.attribute_of.clone(),
            attributes,
            smoothing: options.joint,
        }
    }

    /// Units of a descriptor, of all controls but one.
    fn units(&self, key: Key, without: usize) -> f64 {
        let find = self.all.binary_search_by(|(k, _)| k.cmp(&key));
        let all = find.ok().and_then(|at| self.all.get(at)).map_or(0, |x| x.1);
        let own = count(without);
        let find = self
            .own
            .binary_search_by(|(k, c, _)| (k, c).cmp(&(&key, &own)));
        let own = find.ok().and_then(|at| self.own.get(at)).map_or(0, |x| x.2);
        f64::from(all - own)
    }

    /// The share of a descriptor among the asks for other controls, smoothed by half an ask.
    pub(crate) fn share(&self, key: Key, without: usize) -> f64 {
        let of = |item: u32| {
            let attribute = self.attribute_of.get(item as usize).copied();
            self.units([attribute.unwrap_or(self.attributes), OF], without)
        };
        let one = |item: u32| (self.units([item, NONE], without) + 0.5) / (of(item) + 4.0);
        match key {
            [NONE, _] => 1.0,
            [first, NONE] => one(first),
            [first, second] => {
                let product = one(first) * one(second);
                let both = self.units(key, without) + self.smoothing * product;
                let joint = both / (self.units(ALL, without) + self.smoothing);
                joint.max(product)
            }
        }
    }
}
