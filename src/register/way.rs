//! Which way a request goes under the rules of today: what is known of it, its tier, its routes, its steps, and what
//! those ask for besides. A request that is handed in and an exception that is decided again go the same way.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::{
    Error, facet,
    freeze::{self, Known, Seen},
};
use crate::{
    exception::{
        Routed, Rulebook, Triage,
        complete::{Lack, Missing},
    },
    model::{
        outcome::Row,
        policy::Policy,
        request::Request,
        rules::{Ask, ExceptionRules, Step},
    },
    run::{Context, Set},
};

/// A way through the rules.
pub(super) struct Way {
    /// Everything that is known for triage.
    pub(super) facets: Row,
    /// How risky and how pressing it is.
    pub(super) triage: Triage,
    /// Who is asked.
    pub(super) routed: Routed,
    /// The steps that people take, in order.
    pub(super) steps: Vec<Step>,
}

impl Way {
    /// Routes a request by what is known of it now.
    pub(super) async fn of(
        (cx, set): (&Context, &Set),
        (policy, rules): (&Policy, &ExceptionRules),
        (request, seen, known): (&Request, &Seen, &Known<'_>),
        now: DateTime<Utc>,
    ) -> Result<Self, Error> {
        let mut facets = freeze::facets(request, seen, known, now);
        facets.extend(facet::measured(cx, set, rules, request).await?);
        let rulebook = Rulebook::new(Arc::new(rules.clone())).map_err(|p| {
            Error::Policy(format!(
                "the rules of `{}` cannot be used: {}",
                policy.id, p.what
            ))
        })?;
        let triage = rulebook.triage(&mut facets);
        let routed = rulebook.route(&triage, &facets);
        let step = |id: &String| rules.step(id).map(|(_, step)| step.clone());
        let steps = routed.steps.iter().filter_map(step).collect();
        Ok(Self {
            facets,
            triage,
            routed,
            steps,
        })
    }

    /// Asks a person where the machine would decide: what was put out of force goes on by nobody's word but somebody's.
    pub(super) fn by_people(mut self, rules: &ExceptionRules) -> Self {
        let signs = |step: &Step| matches!(step.ask, Ask::Approve(_));
        if !self.steps.iter().any(signs)
            && let Some((_, step)) = rules.step(&rules.no_match)
        {
            self.steps.push(step.clone());
            self.routed.steps.push(step.id.clone());
            self.routed.auto = false;
        }
        self
    }

    /// What its routes ask for that is not there: kinds of evidence, and compensations. `has` and `picked` say what is.
    pub(super) fn demands(
        &self,
        has: &dyn Fn(&str) -> bool,
        picked: &dyn Fn(&str) -> bool,
    ) -> Vec<Missing> {
        let tier = &self.triage.tier;
        let mut all = Vec::new();
        for kind in self.routed.require_evidence.iter().filter(|k| !has(k)) {
            let say = format!("a request of the tier `{tier}` needs evidence of the kind `{kind}`");
            all.push(missing("evidence", say));
        }
        for any_of in &self.routed.require_mitigations {
            if !any_of.iter().any(|m| picked(m)) {
                let say = format!(
                    "a request of the tier `{tier}` picks one of these mitigations: {}",
                    any_of.join(", ")
                );
                all.push(missing("conditions", say));
            }
        }
        all
    }
}

/// A field that is not there.
pub(super) fn missing(field: &str, say: String) -> Missing {
    Missing {
        field: field.to_owned(),
        lack: Lack::Missing,
        say,
    }
}
