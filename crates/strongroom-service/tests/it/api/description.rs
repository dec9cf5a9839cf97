//! The description of the API: what is written, and whether it is whole.

use std::collections::BTreeSet;

use serde_json::Value;
use strongroom_service::api::document;

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/openapi.json");

#[test]
fn the_description_is_the_one_that_was_looked_at() {
    let written = format!("{:#}\n", document());
    if std::env::var_os("STRONGROOM_WRITE_DOCS").is_some() {
        std::fs::write(FILE, &written).unwrap();
    }
    let kept = std::fs::read_to_string(FILE).unwrap();
    assert!(kept == written, "the API has changed: look at it, and write it with STRONGROOM_WRITE_DOCS=1");
}

/// Walks the description and notes what is missing where.
struct Walk<'a> {
    document: &'a Value,
    seen: BTreeSet<(String, bool)>,
    faults: Vec<String>,
}

impl<'a> Walk<'a> {
    fn fault(&mut self, at: &str, what: &str) {
        self.faults.push(format!("{at}: {what}"));
    }

    fn described(&mut self, at: &str, schema: &Value) {
        let target = self.target(schema);
        let text = |schema: &Value| schema["description"].as_str().is_some_and(|text| text.len() > 3);
        if !text(schema) && !text(target) {
            self.fault(at, "no description");
        }
    }

    fn target(&self, schema: &'a Value) -> &'a Value {
        let one = schema["oneOf"].as_array().and_then(|all| all.iter().find(|one| one.get("$ref").is_some()));
        match one.unwrap_or(schema)["$ref"].as_str() {
            Some(name) => self.document.pointer(name.trim_start_matches('#')).unwrap(),
            None => schema,
        }
    }

    /// A schema of a value; `asked`: clients send it.
    fn schema(&mut self, at: &str, schema: &'a Value, asked: bool) {
        if let Some(name) = schema["$ref"].as_str() {
            if self.seen.insert((name.into(), asked)) {
                let target = self.document.pointer(name.trim_start_matches('#')).unwrap();
                self.schema(name.rsplit('/').next().unwrap(), target, asked);
            }
            return;
        }
        for several in ["oneOf", "anyOf", "allOf"] {
            for (number, one) in schema[several].as_array().into_iter().flatten().enumerate() {
                self.schema(&format!("{at}#{number}"), one, asked);
            }
        }
        let kinds = match &schema["type"] {
            Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).collect(),
            kind => Vec::from_iter(kind.as_str()),
        };
        let has = |name: &str| schema.get(name).is_some();
        for kind in kinds {
            match kind {
                "integer" | "number" if !(has("enum") || has("minimum") && has("maximum")) => {
                    self.fault(at, "a number without bounds");
                }
                "string" if !["maxLength", "enum", "const", "format", "pattern"].into_iter().any(has) => {
                    self.fault(at, "a text without bounds");
                }
                "array" => {
                    if !has("maxItems") {
                        self.fault(at, "a list without bounds");
                    }
                    let items = &schema["items"];
                    // Texts of lists in answers are words of the service's own.
                    if asked || items["type"] != "string" {
                        self.schema(&format!("{at}[]"), items, asked);
                    }
                }
                "object" => self.object(at, schema, asked),
                _ => {}
            }
        }
    }

    fn object(&mut self, at: &str, schema: &'a Value, asked: bool) {
        let members = schema["properties"].as_object();
        if asked
            && schema["additionalProperties"] != Value::Bool(false)
            && schema.get("maxProperties").is_none()
        {
            self.fault(at, "unknown members are not refused");
        }
        for (name, member) in members.into_iter().flatten() {
            let at = format!("{at}.{name}");
            self.described(&at, member);
            self.schema(&at, member, asked);
        }
    }

    fn operation(&mut self, at: &str, operation: &'a Value) {
        if operation["description"].as_str().is_none_or(str::is_empty) || operation["summary"].is_null() {
            self.fault(at, "no summary or description");
        }
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            let at = format!("{at} {}", parameter["name"]);
            if parameter["description"].as_str().is_none_or(str::is_empty) {
                self.fault(&at, "no description");
            }
            self.schema(&at, &parameter["schema"], true);
        }
        if let Some(body) = operation.get("requestBody") {
            if body["description"].as_str().is_none_or(str::is_empty) {
                self.fault(at, "a body without a description");
            }
            self.schema(&format!("{at} body"), &body["content"]["application/json"]["schema"], true);
        }
        for (status, answer) in operation["responses"].as_object().unwrap() {
            let answer = self.target(answer);
            for (kind, content) in answer["content"].as_object().into_iter().flatten() {
                if kind.ends_with("json") {
                    self.schema(&format!("{at} {status}"), &content["schema"], false);
                }
            }
        }
        let answers = &operation["responses"];
        for status in ["500", "503"] {
            if answers[status]["$ref"] != "#/components/responses/Problem" {
                self.fault(at, "a problem is not described");
            }
        }
    }
}

#[test]
fn everything_is_described_and_bounded_and_refuses_what_is_unknown() {
    let document = document();
    let mut walk = Walk { document: &document, seen: BTreeSet::new(), faults: Vec::new() };
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            walk.operation(&format!("{method} {path}"), operation);
        }
    }
    assert!(walk.seen.len() > 10, "only {:?} were walked", walk.seen);
    assert!(walk.faults.is_empty(), "{:#?}", walk.faults);
}
