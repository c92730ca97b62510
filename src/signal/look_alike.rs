//! What would have been an alarm if asks were counted as they come, and why it is none. This is what earns trust: a
//! reader sees that the noise was seen.

use super::{
    account,
    ask::Decided,
    cells::{Shares, arity, cells, distinct},
    emergence::{Found, Leftover, Volume, days, gates, past},
    gate::{GateName, Verdict, busiest, incident},
    index::{Index, Key, Row},
    options::Options,
    pattern::{Because, LookAlike, Observed},
    stats, wording,
};

/// A cell that would have been an alarm.
struct Candidate {
    key: Key,
    weeks: u32,
    p: f64,
    score: f64,
}

/// Every control without a hit that would have had one.
pub(crate) fn turned_away(
    index: &Index<'_>,
    options: &Options,
    today: i32,
    found: &Found,
    shares: &Shares,
    raised: &[usize],
) -> Vec<LookAlike> {
    let volumes: Vec<Volume> = options
        .windows
        .iter()
        .filter_map(|weeks| Volume::of(index, options, *weeks, today))
        .collect();
    (0..index.controls.len())
        .filter(|control| !raised.contains(control))
        .filter_map(|control| {
            let best = volumes
                .iter()
                .filter_map(|v| candidate(index, options, today, control, (v, shares, found)))
                .reduce(|x, y| if y.score > x.score { y } else { x })?;
            judge(index, options, today, control, &best)
        })
        .collect()
}

/// The most surprising cell of a control when every row counts, duplicates and denied ones included.
fn candidate(
    index: &Index<'_>,
    options: &Options,
    today: i32,
    control: usize,
    (volume, shares, found): (&Volume, &Shares, &Found),
) -> Option<Candidate> {
    let entry = index.controls.get(control)?;
    let weeks = volume.weeks;
    let rows: Vec<&Row> = entry
        .between(today - days(weeks), today)
        .iter()
        .filter(|r| !r.renewal)
        .collect();
    // A control that is too new for a past of its own is judged by the mean of the others.
    let blocks = match volume.usable(today, entry.effective(today)) {
        0 => volume.blocks(),
        blocks => blocks,
    };
    let cells = cells(&rows, options.attributes.min(1));
    let level = found.level / cells.len().max(1) as f64;
    cells
        .into_iter()
        .filter_map(|(key, members)| {
            let seen: u32 = members.iter().map(|r| r.copies).sum();
            if seen < options.min_teams {
                return None;
            }
            let past = past(index, (control, key), volume, blocks, today, options.cap);
            let expected =
                volume.expected(control, blocks, (shares.share(key, control), past), options);
            let p = expected.surprise(seen);
            let penalty = options.penalty * f64::from(arity(key));
            (p <= level).then(|| Candidate {
                key,
                weeks,
                p,
                score: stats::likelihood_ratio(f64::from(seen), expected.mu) - penalty,
            })
        })
        .reduce(|x, y| if y.score > x.score { y } else { x })
}

/// Names the first reason that turns it away.
fn judge(
    index: &Index<'_>,
    options: &Options,
    today: i32,
    control: usize,
    best: &Candidate,
) -> Option<LookAlike> {
    let span = (today - days(best.weeks), today);
    let rows = account::rows(index, control, best.key, span);
    let fresh: Vec<&Row> = rows.iter().copied().filter(|r| !r.renewal).collect();
    let counted: Vec<&Row> = fresh.iter().copied().filter(|r| r.counts(today)).collect();
    // None of these speaks for a pattern, so its teams are all that asked.
    let observed = Observed {
        teams: distinct(fresh.iter().map(|r| r.team)),
        departments: distinct(fresh.iter().filter_map(|r| r.department)),
        ..account::observed(&rows, &counted, options, today)
    };
    let (gates, left) = gates(index, options, today, (control, best.key, best.weeks));
    let because = because(options, today, &fresh, &gates, &observed, left);
    let name = gate_of(because);
    let value = gates
        .iter()
        .find(|g| Some(g.name) == name)
        .and_then(|g| g.value);
    let seen = match because {
        Because::OneTeam => busiest(&fresh, options.cap)
            .and_then(|(team, share)| {
                let name = index.teams.get(team as usize)?;
                Some(format!("{name} with {:.0} %", share * 100.0))
            })
            .unwrap_or_default(),
        Because::Incident => incident(&counted, options.cap)
            .and_then(|(at, units)| {
                let name = index.incidents.get(at as usize)?;
                Some(format!("{name} with {units}"))
            })
            .unwrap_or_default(),
        _ => value.map(|v| format!("{v:.0}")).unwrap_or_default(),
    };
    let id = index.controls.get(control)?.id;
    let shared = wording::shared(index, best.key);
    Some(LookAlike {
        control: id.to_owned(),
        descriptor: index.described(best.key),
        because,
        route: because.route(),
        sentence: wording::turned_away(id, &shared, &observed, because, &seen),
        window: account::period(span),
        observed,
        p: stats::rounded(best.p),
        gates,
    })
}

fn because(
    options: &Options,
    today: i32,
    fresh: &[&Row],
    gates: &[super::gate::Gate],
    observed: &Observed,
    left: Leftover,
) -> Because {
    let fails = |name| {
        gates
            .iter()
            .any(|g| g.name == name && g.verdict == Verdict::Fail)
    };
    let denied = fresh
        .iter()
        .filter(|r| r.outcome(today) == Decided::Denied)
        .count();
    // Of a wave that was denied a single ask may be approved: that is not one team's need.
    let one_team = busiest(fresh, options.cap)
        .is_some_and(|(_, share)| share > options.busiest_share)
        || (fails(GateName::BusiestTeam) && denied * 2 <= fresh.len());
    let undecided = observed.pending * 2 > observed.independent;
    if fails(GateName::Rollout) {
        Because::Rollout
    } else if observed.duplicates * 2 >= observed.asks {
        Because::Bulk
    } else if one_team {
        Because::OneTeam
    } else if fails(GateName::Approved) && denied > 0 {
        Because::DeniedWave
    } else if fails(GateName::Incident) {
        Because::Incident
    } else if undecided {
        Because::Undecided
    } else if fails(GateName::Lasting) {
        Because::NotLasting
    } else if fails(GateName::Teams) {
        Because::FewTeams
    } else if fails(GateName::Departments) {
        Because::FewDepartments
    } else if fails(GateName::Burst) || left.burst < options.min_teams {
        Because::Burst
    } else {
        Because::OneCause
    }
}

const fn gate_of(because: Because) -> Option<GateName> {
    match because {
        Because::Rollout => Some(GateName::Rollout),
        Because::Burst => Some(GateName::Burst),
        Because::FewTeams => Some(GateName::Teams),
        Because::FewDepartments => Some(GateName::Departments),
        _ => None,
    }
}
