//! Schemas as JSON Schema means them. What the derives write is put right where it says something else than the types do.

use serde_json::{Map, Value, json};

/// The largest number that the state stores, and so the bound of every count.
const LARGEST: i64 = i64::MAX;

/// Puts every schema of a description right.
///
/// * A member with a type and a description of its own is written as `allOf` of both, the second of which is an object:
///   it becomes the type with that description.
/// * A variant of a tagged enum is written as `allOf` of its struct and its tag. Since the struct refuses unknown members
///   it would refuse the tag: both become one object.
/// * A count gets its largest value.
pub(super) fn put_right(document: &mut Value) {
    let known = document["components"]["schemas"].as_object().cloned().unwrap_or_default();
    walk(document, &known);
}

/// The recursion is as deep as the description, which is the program's own.
fn walk(value: &mut Value, known: &Map<String, Value>) {
    if let Some(simpler) =
        value.as_object().and_then(|schema| described(schema).or_else(|| variant(schema, known)))
    {
        *value = simpler;
    }
    match value {
        Value::Object(members) => {
            bound(members);
            members.values_mut().for_each(|member| walk(member, known));
        }
        Value::Array(items) => items.iter_mut().for_each(|item| walk(item, known)),
        _ => {}
    }
}

fn described(schema: &Map<String, Value>) -> Option<Value> {
    let [kind, about] = schema.get("allOf")?.as_array()?.as_slice() else { return None };
    let is_description = about["type"] == "object" && about.get("properties").is_none();
    let mut simpler = kind.as_object().filter(|_| is_description)?.clone();
    for (name, value) in about.as_object()?.iter().filter(|(name, _)| *name != "type") {
        simpler.insert(name.clone(), value.clone());
    }
    Some(simpler.into())
}

fn variant(schema: &Map<String, Value>, known: &Map<String, Value>) -> Option<Value> {
    let [inner, tag] = schema.get("allOf")?.as_array()?.as_slice() else { return None };
    let name = inner["$ref"].as_str()?.rsplit('/').next()?;
    let mut whole = known.get(name)?.as_object()?.clone();
    let mut properties = Map::new();
    for (name, value) in tag["properties"].as_object()? {
        let mut value = value.clone();
        value["description"] = "Which kind it is.".into();
        properties.insert(name.clone(), value);
    }
    properties.extend(whole.get("properties").and_then(Value::as_object).cloned().unwrap_or_default());
    let mut required = tag["required"].as_array().cloned().unwrap_or_default();
    required.extend(whole.get("required").and_then(Value::as_array).cloned().unwrap_or_default());
    whole.insert("type".into(), "object".into());
    whole.insert("properties".into(), properties.into());
    whole.insert("required".into(), required.into());
    if let Some(text) = schema.get("description") {
        whole.insert("description".into(), text.clone());
    }
    Some(whole.into())
}

fn bound(schema: &mut Map<String, Value>) {
    let is_integer = |kind: &Value| kind == "integer";
    let integer = match schema.get("type") {
        Some(Value::Array(kinds)) => kinds.iter().any(is_integer),
        Some(kind) => is_integer(kind),
        None => false,
    };
    if integer && schema.contains_key("minimum") && !schema.contains_key("maximum") {
        schema.insert("maximum".into(), json!(LARGEST));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variant_is_one_object_that_has_its_tag_and_still_refuses_what_is_unknown() {
        let mut document = json!({ "components": { "schemas": {
            "Key": { "type": "object", "required": ["id"], "properties": { "id": { "type": "string" } },
                "additionalProperties": false },
            "Credentials": { "oneOf": [{ "allOf": [{ "$ref": "#/components/schemas/Key" },
                { "type": "object", "required": ["kind"], "properties": { "kind": { "enum": ["key"] } } }],
                "description": "A key." }] },
        } } });
        put_right(&mut document);
        let variant = &document["components"]["schemas"]["Credentials"]["oneOf"][0];
        assert_eq!(variant["required"], json!(["kind", "id"]));
        assert_eq!(variant["additionalProperties"], false);
        assert_eq!(variant["properties"]["kind"]["enum"], json!(["key"]));
        assert_eq!(variant["description"], "A key.");
    }

    #[test]
    fn a_member_keeps_its_type_and_gets_its_own_description() {
        let mut member = json!({ "allOf": [
            { "type": "integer", "minimum": 0, "description": "A number." },
            { "type": "object", "description": "Runs at once." },
        ] });
        put_right(&mut member);
        let wanted =
            json!({ "type": "integer", "minimum": 0, "description": "Runs at once.", "maximum": i64::MAX });
        assert_eq!(member, wanted);
    }
}
