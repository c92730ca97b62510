//! XML into the shape that JSON would have: an element of elements is an object, one that is only
//! `member`s is a list (AWS), a name that comes twice is a list, text is text, and an element with
//! nothing in it is null, because XML does not tell "empty" from "none". The name of the root is
//! dropped. Never reads a document type, never expands an entity but the five of XML.

use quick_xml::{
    Reader,
    escape::resolve_predefined_entity,
    events::{BytesStart, Event},
};
use serde_json::{Map, Value};

/// Elements inside elements that a document may have.
const MAX_DEPTH: usize = 64;

/// Names of elements that are items of the list around them.
const ITEMS: &[&str] = &["member"];

/// Why a body is not XML that we read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It is not well-formed, or ends too early.
    #[error("the body is not XML")]
    Shape(#[from] quick_xml::Error),
    /// It ends inside an element.
    #[error("the body is XML that was cut short")]
    CutShort,
    /// There is no element in it.
    #[error("the body holds no XML element")]
    Empty,
    /// Deeper than anything that a source has a reason to send.
    #[error("the body is XML with more than {MAX_DEPTH} levels")]
    Depth,
    /// An entity that is not one of the five.
    #[error("the body is XML with an entity that is not read")]
    Entity,
}

#[derive(Default)]
struct Element {
    name: String,
    text: String,
    members: Map<String, Value>,
    /// Names that came more than once, and so are lists.
    repeated: Vec<String>,
}

/// Reads a document.
pub fn read(text: &str) -> Result<Value, Error> {
    let mut reader = Reader::from_str(text);
    let mut open: Vec<Element> = Vec::new();
    loop {
        match reader.read_event()? {
            Event::Start(tag) if open.len() == MAX_DEPTH => {
                drop(tag);
                return Err(Error::Depth);
            }
            Event::Start(tag) => open.push(Element::of(&tag)?),
            Event::Empty(tag) => {
                let element = Element::of(&tag)?;
                match open.last_mut() {
                    Some(parent) => parent.add(element),
                    None => return Ok(element.value()),
                }
            }
            Event::End(_) => {
                let element = open.pop().ok_or(Error::Empty)?;
                match open.last_mut() {
                    Some(parent) => parent.add(element),
                    None => return Ok(element.value()),
                }
            }
            Event::Text(text) => put(&mut open, &text.xml10_content()),
            Event::CData(text) => put(&mut open, &text.xml10_content()),
            Event::GeneralRef(name) => match name.resolve_char_ref()? {
                Some(c) => put(&mut open, c.encode_utf8(&mut [0; 4])),
                None => put(
                    &mut open,
                    resolve_predefined_entity(&name).ok_or(Error::Entity)?,
                ),
            },
            Event::Eof if open.is_empty() => return Err(Error::Empty),
            Event::Eof => return Err(Error::CutShort),
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::DocType(_) => {}
        }
    }
}

fn put(open: &mut [Element], text: &str) {
    if let Some(element) = open.last_mut() {
        element.text.push_str(text);
    }
}

impl Element {
    fn of(tag: &BytesStart<'_>) -> Result<Self, Error> {
        let mut element = Self {
            name: tag.local_name().as_ref().to_owned(),
            ..Self::default()
        };
        for attribute in tag.attributes() {
            let attribute = attribute.map_err(quick_xml::Error::from)?;
            let name = attribute.key.as_ref();
            if name != "xmlns" && !name.starts_with("xmlns:") {
                let value = attribute.normalized_value(quick_xml::XmlVersion::default())?;
                element.members.insert(format!("@{name}"), value.into());
            }
        }
        Ok(element)
    }

    fn add(&mut self, child: Self) {
        let name = child.name.clone();
        let value = child.value();
        match self.members.get_mut(&name) {
            None => {
                self.members.insert(name, value);
            }
            Some(Value::Array(items)) if self.repeated.contains(&name) => items.push(value),
            Some(first) => {
                *first = Value::Array(vec![first.take(), value]);
                self.repeated.push(name);
            }
        }
    }

    fn value(mut self) -> Value {
        let text = self.text.trim();
        if self.members.is_empty() {
            return if text.is_empty() {
                Value::Null
            } else {
                text.into()
            };
        }
        if let (1, Some(item)) = (
            self.members.len(),
            ITEMS.iter().find(|i| self.members.contains_key(**i)),
        ) {
            let items = self.members.remove(*item).unwrap_or_default();
            return if self.repeated.iter().any(|r| r == item) {
                items
            } else {
                Value::Array(vec![items])
            };
        }
        if !text.is_empty() {
            self.members.insert("#text".to_owned(), text.into());
        }
        Value::Object(self.members)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn aws_answers_take_the_shape_of_json() {
        let text = r#"<?xml version="1.0"?>
            <ListUsersResponse xmlns="https://iam.amazonaws.com/doc/2010-05-08/">
              <ListUsersResult>
                <IsTruncated>false</IsTruncated>
                <Users>
                  <member><UserName>svc-bot</UserName><Path>/</Path><Tags/></member>
                  <member><UserName>a &amp; b &#x41;<![CDATA[<c>]]></UserName></member>
                </Users>
              </ListUsersResult>
              <ResponseMetadata><RequestId>r-1</RequestId></ResponseMetadata>
            </ListUsersResponse>"#;
        assert_eq!(
            read(text).unwrap(),
            json!({
                "ListUsersResult": {
                    "IsTruncated": "false",
                    "Users": [{ "UserName": "svc-bot", "Path": "/", "Tags": null }, { "UserName": "a & b A<c>" }],
                },
                "ResponseMetadata": { "RequestId": "r-1" },
            })
        );
    }

    #[test]
    fn lists_of_one_names_that_repeat_and_attributes() {
        let one = read("<r><Users><member><a>1</a></member></Users></r>").unwrap();
        assert_eq!(one, json!({ "Users": [{ "a": "1" }] }));
        let nested = read("<r><l><member><member>x</member></member></l></r>").unwrap();
        assert_eq!(nested, json!({ "l": [["x"]] }));
        let twice = read("<r><x>1</x><x>2</x><x>3</x><y k='v'>t</y></r>").unwrap();
        assert_eq!(
            twice,
            json!({ "x": ["1", "2", "3"], "y": { "@k": "v", "#text": "t" } })
        );
    }

    #[test]
    fn what_is_cut_short_or_malicious_is_refused() {
        assert!(matches!(read("<a><b>1</b>"), Err(Error::CutShort)));
        assert!(matches!(read(""), Err(Error::Empty)));
        assert!(matches!(read("<a></b>"), Err(Error::Shape(_))));
        assert!(matches!(
            read("<!DOCTYPE a [<!ENTITY x 'y'>]><a>&x;</a>"),
            Err(Error::Entity)
        ));
        assert!(matches!(
            read(&"<a>".repeat(MAX_DEPTH + 1)),
            Err(Error::Depth)
        ));
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "[<>/a-c&;#x0-9!\\[\\]'= -]{0,40}") {
            let _ = read(&text);
        }
    }
}
