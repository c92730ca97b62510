//! People and teams against each other: one name, one bearer; every mail address is one; every team
//! that is named is there. Notices go by these names, so a name that could mean two is a mistake.

use std::collections::BTreeMap;

use crate::{
    catalog::{load::offer, name::not_a_slug},
    model::{
        id::TeamId,
        people::{Directory, Team},
    },
    notify::email::is_address,
    yaml::{
        decode::Located,
        diagnostic::{Diagnostic, Place, nearest},
    },
};

/// Roles that Tripline itself knows; a policy may name others.
const ROLES: &[&str] = &[
    "viewer",
    "control-owner",
    "requester",
    "approver-l1",
    "approver-l2",
    "approver-l3",
    "policy-lead",
    "security-lead",
    "administrator",
    "auditor",
];

/// Everything that is wrong with people and teams among themselves.
pub fn check(directory: &Directory, out: &mut Vec<Diagnostic>) {
    let mut names = Names::default();
    for team in &directory.teams {
        out.extend(not_a_slug(&team.id.value, &team.id.place));
        out.extend(names.take(&team.id.value, &team.id.place));
        out.extend(team.email.as_ref().and_then(not_an_address));
        out.extend(nobody_hears(team, directory));
    }
    for person in &directory.people {
        let place = &person.id.place;
        out.extend(not_a_slug(&person.id.value, place));
        out.extend(names.take(&person.id.value, place));
        out.extend(not_an_address(&person.email));
        out.extend(names.take(&person.email.value.to_lowercase(), &person.email.place));
        for identity in &person.identities {
            out.extend(names.take(identity, place));
        }
        out.extend(
            person
                .team
                .as_ref()
                .and_then(|team| no_such_team(team, directory)),
        );
        out.extend(person.roles.iter().filter_map(|role| slip(role, place)));
    }
}

/// A name that neither a person nor a team bears, as a mistake with the nearest name.
pub fn unknown(
    name: &Located<String>,
    code: &'static str,
    directory: &Directory,
) -> Option<Diagnostic> {
    if directory.find(&name.value).is_some() {
        return None;
    }
    let what = format!("nobody is called `{}`", name.value);
    let d = Diagnostic::error(code, &name.place, what);
    let teams = directory.teams.iter().map(|t| t.id.value.as_str());
    let people = directory.people.iter().map(|p| p.id.value.as_str());
    let mut names = teams.chain(people).peekable();
    Some(if names.peek().is_none() {
        d.help("add the team under `teams:` in `tripline.yaml`")
    } else {
        offer(d, &name.value, names.collect::<Vec<_>>().into_iter())
    })
}

/// Names that are taken, each with the place of its bearer.
#[derive(Default)]
struct Names<'d> {
    taken: BTreeMap<String, &'d Place>,
}

impl<'d> Names<'d> {
    fn take(&mut self, name: &str, place: &'d Place) -> Option<Diagnostic> {
        let first = self.taken.insert(name.to_owned(), place)?;
        let what = format!("`{name}` is another's name already, on line {}", first.line);
        let d = Diagnostic::error("TL0610", place, what);
        Some(d.help("a name means one person or one team"))
    }
}

fn not_an_address(email: &Located<String>) -> Option<Diagnostic> {
    (!is_address(&email.value)).then(|| {
        let what = format!("`{}` is not a mail address", email.value);
        Diagnostic::error("TL0611", &email.place, what).help("write `ada@example.test`")
    })
}

fn no_such_team(team: &Located<String>, directory: &Directory) -> Option<Diagnostic> {
    let teams = directory.teams.iter().map(|t| t.id.value.as_str());
    if teams.clone().any(|t| t == team.value) {
        return None;
    }
    let what = format!("there is no team `{}`", team.value);
    let d = Diagnostic::error("TL0612", &team.place, what);
    Some(offer(d, &team.value, teams))
}

/// A policy may name roles of its own, so only what looks like a slip of the keyboard is said.
fn slip(role: &str, place: &Place) -> Option<Diagnostic> {
    if ROLES.contains(&role) {
        return None;
    }
    let near = nearest(role, ROLES.iter().copied())?;
    let what = format!("`{role}` is not a role that Tripline knows");
    Some(Diagnostic::warning("TL0613", place, what).help(format!("did you mean `{near}`?")))
}

fn nobody_hears(team: &Team, directory: &Directory) -> Option<Diagnostic> {
    let id = TeamId::new(&team.id.value);
    if team.email.is_some() || directory.members(&id).next().is_some() {
        return None;
    }
    let what = format!("nobody hears what is sent to the team `{id}`");
    let d = Diagnostic::warning("TL0614", &team.id.place, what);
    Some(d.help("give the team an `email:`, or a person this `team:`"))
}

#[cfg(test)]
#[expect(unreachable_pub, reason = "the macro declares a public type")]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::{model::people::Person, record, yaml::decode::read};

    record! {
        /// The part of the file that speaks of people.
        pub struct File {
            /// Teams.
            teams: Vec<Team> = Vec::new(),
            /// People.
            people: Vec<Person> = Vec::new(),
        }
    }

    fn say(text: &str) -> String {
        let (file, _) = read::<File>(Path::new("tripline.yaml"), text).unwrap();
        let directory = Directory {
            people: file.people,
            teams: file.teams,
        };
        let mut out = Vec::new();
        check(&directory, &mut out);
        let said: Vec<String> = out.iter().map(ToString::to_string).collect();
        said.join("\n")
    }

    #[test]
    fn a_sound_directory_says_nothing() {
        let text = "teams: [{ id: a, email: a@example.test }, { id: b }]\npeople: [{ id: ada, name: Ada, email: ada@example.test, team: b, roles: [control-owner, model-council], identities: [AdaL] }]\n";
        assert_eq!(say(text), "");
    }

    #[test]
    fn each_mistake_has_its_place() {
        let text = "\
teams:
  - { id: Platform, email: nobody }
  - { id: quiet }
people:
  - { id: ada, name: Ada, email: ada@example.test, team: plattform, roles: [control-owners] }
  - { id: ada, name: Ada, email: ADA@example.test }
  - { id: quiet, name: Q, email: \"Q <q@example.test>\", identities: [ada] }
";
        insta::assert_snapshot!(say(text), @"
        TL0106 tripline.yaml:2:11: `Platform` cannot be a name here; a name is small letters, digits and single hyphens, starts with a letter, and has at most 64 characters
        TL0611 tripline.yaml:2:28: `nobody` is not a mail address; write `ada@example.test`
        TL0614 tripline.yaml:3:11: nobody hears what is sent to the team `quiet`; give the team an `email:`, or a person this `team:`
        TL0612 tripline.yaml:5:58: there is no team `plattform`; did you mean `Platform`?
        TL0613 tripline.yaml:5:11: `control-owners` is not a role that Tripline knows; did you mean `control-owner`?
        TL0610 tripline.yaml:6:11: `ada` is another's name already, on line 5; a name means one person or one team
        TL0610 tripline.yaml:6:34: `ada@example.test` is another's name already, on line 5; a name means one person or one team
        TL0610 tripline.yaml:7:11: `quiet` is another's name already, on line 3; a name means one person or one team
        TL0611 tripline.yaml:7:34: `Q <q@example.test>` is not a mail address; write `ada@example.test`
        TL0610 tripline.yaml:7:11: `ada` is another's name already, on line 6; a name means one person or one team
        ");
    }
}
