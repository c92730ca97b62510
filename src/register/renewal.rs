//! What a request renews. How often something was excepted is counted from what was in force, whatever a request says of
//! it; what is excepted already is not silently added to a second exception.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};

use super::{Error, freeze::Known};
use crate::{
    exception::{
        complete::{Lack, Missing},
        record::{Frozen, Record},
    },
    model::{
        exception::State,
        id::{ControlId, ExceptionId},
        request::Request,
        rules::ExceptionRules,
    },
    run::Context,
    store::exceptions,
};

/// What a request renews: how often that was done, with this, and until when the first was to last. What it may not renew
/// is added to what it lacks.
pub(super) async fn renewal(
    cx: &Context,
    rules: &ExceptionRules,
    request: &Request,
    lacks: &mut Vec<Missing>,
) -> Result<Known<'static>, Error> {
    let now = cx.clock.now();
    let before = named(cx, request, lacks).await?;
    let others = same(cx, request).await?;
    let since = now - rules.limits.look_back.to_delta();
    let was_in_force = |r: &&Record| {
        r.times.activated_at.is_some()
            && r.times.expires_at > since
            && r.request.beneficiary_team == request.beneficiary_team
    };
    let siblings: Vec<&Record> = others.values().filter(was_in_force).collect();
    let counted = u32::try_from(siblings.len()).unwrap_or(u32::MAX);
    let renewals = before
        .as_ref()
        .map_or(0, |(_, frozen)| frozen.terms.renewals + 1)
        .max(counted);
    if renewals > rules.limits.max_renewals {
        let names: Vec<&str> = siblings.iter().map(|r| r.id.as_str()).collect();
        let say = format!(
            "this would be renewal {renewals} ({}), and the policy permits {}: the policy itself is what should be asked",
            names.join(", "),
            rules.limits.max_renewals
        );
        lacks.push(lack("renewal_of", Lack::BeyondLimit, say));
    }
    for other in others.values() {
        lacks.extend(overlap(other, request, now));
    }
    let ends = siblings.iter().map(|r| {
        let frozen = r.frozen.as_ref();
        let first = frozen.and_then(|f| f.terms.original_expires_at);
        first.unwrap_or(r.times.expires_at)
    });
    let of_named = before.map(|(record, frozen)| {
        let first = frozen.terms.original_expires_at;
        first.unwrap_or(record.times.expires_at)
    });
    Ok(Known {
        renewals,
        original: ends.chain(of_named).min(),
        ..Known::default()
    })
}

/// The exception that a request names as the one it renews.
async fn named(
    cx: &Context,
    request: &Request,
    lacks: &mut Vec<Missing>,
) -> Result<Option<(Record, Frozen)>, Error> {
    let Some(name) = &request.renewal_of else {
        return Ok(None);
    };
    let id = ExceptionId::from(name.as_str());
    let before = exceptions::get(&mut cx.store.read().await?, &id).await?;
    let before = before.filter(|b| b.times.activated_at.is_some());
    let Some((before, frozen)) = before.and_then(|b| Some((b.clone(), b.frozen?))) else {
        let say = format!("no exception `{name}` was ever in force");
        lacks.push(lack("renewal_of", Lack::Unknown, say));
        return Ok(None);
    };
    if frozen.terms.provision != request.provision {
        let say = format!(
            "{name} deviates from `{}`, and this from `{}`",
            frozen.terms.provision, request.provision
        );
        lacks.push(lack("renewal_of", Lack::NotPermitted, say));
    }
    Ok(Some((before, frozen)))
}

/// Every exception that speaks of one of the subjects of a request under one of its controls.
async fn same(cx: &Context, request: &Request) -> Result<BTreeMap<ExceptionId, Record>, Error> {
    let subjects: BTreeSet<&str> = request.subjects.iter().map(String::as_str).collect();
    let mut all = BTreeMap::new();
    for control in &request.controls {
        let control = ControlId::new(control);
        let filter = exceptions::Filter {
            control: Some(control.clone()),
            ..exceptions::Filter::default()
        };
        for record in exceptions::list(&mut cx.store.read().await?, &filter).await? {
            let pairs = record.frozen.iter().flat_map(|f| &f.terms.subjects);
            let mut pairs =
                pairs.filter(|p| p.control == control && subjects.contains(p.subject.as_str()));
            if pairs.next().is_some() {
                all.insert(record.id.clone(), record);
            }
        }
    }
    Ok(all)
}

/// Whether another that is in force would cover the same at the same time, without being named.
fn overlap(other: &Record, request: &Request, now: DateTime<Utc>) -> Option<Missing> {
    let holds = matches!(other.state_at(now), State::Active | State::Approved);
    let begin = request.not_before.unwrap_or(now);
    let meets = begin < other.times.expires_at
        && request
            .expires_at
            .is_none_or(|end| end > other.times.not_before);
    let is_named = request.renewal_of.as_deref() == Some(other.id.as_str());
    if !holds || !meets || is_named {
        return None;
    }
    let id = &other.id;
    let say = format!(
        "{id} speaks of the same until {}: name it as `renewal_of`, begin when it ends, or join it (`tripline exception join {id}`)",
        other.times.expires_at.format("%Y-%m-%d %H:%M UTC")
    );
    Some(lack("scope", Lack::AlreadyExcepted, say))
}

fn lack(field: &str, lack: Lack, say: String) -> Missing {
    Missing {
        field: field.to_owned(),
        lack,
        say,
    }
}
