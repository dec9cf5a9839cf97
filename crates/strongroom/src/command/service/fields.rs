//! Options into the JSON that the API takes.

use serde_json::{Map, Value};

use crate::cli::service::{Labels, OrNone};

/// Members that are set, each with its path.
#[derive(Debug, Default)]
pub(super) struct Fields(Vec<(&'static str, Value)>);

impl Fields {
    /// Sets a member such as `backup.encryption`, if there is a value.
    pub(super) fn set(mut self, path: &'static str, value: Option<impl Into<Value>>) -> Self {
        self.0.extend(value.map(|value| (path, value.into())));
        self
    }

    pub(super) fn or_none(self, path: &'static str, value: Option<OrNone>) -> Self {
        self.set(path, value.map(|OrNone(value)| value))
    }

    /// A list that replaces the one before; `none` alone is an empty one.
    pub(super) fn list(self, path: &'static str, items: Vec<String>) -> Self {
        match items.as_slice() {
            [] => self,
            [only] if only == "none" => self.set(path, Some(Value::Array(Vec::new()))),
            _ => self.set(path, Some(items)),
        }
    }

    pub(super) fn labels(self, labels: Labels) -> Self {
        if labels.label.is_empty() {
            return self;
        }
        let labels = labels.label.into_iter().map(|(key, value)| (key, Value::from(value)));
        self.set("labels", Some(labels.collect::<Map<_, _>>()))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// `base` with these members instead of its own.
    pub(super) fn onto(self, mut base: Value) -> Value {
        for (path, value) in self.0 {
            let mut place = &mut base;
            for name in path.split('.') {
                if !place.is_object() {
                    *place = Value::Object(Map::new());
                }
                place = &mut place[name];
            }
            *place = value;
        }
        base
    }

    /// These members alone.
    pub(super) fn alone(self) -> Value {
        self.onto(Value::Object(Map::new()))
    }
}

/// `08:00-18:00 Europe/Berlin` as the API has it; what is no such text is left for the API to refuse.
pub(super) fn quiet_hours(OrNone(value): OrNone) -> Value {
    let Some(text) = value.as_str() else { return value };
    let (hours, zone) = text.split_once(' ').unwrap_or((text, "UTC"));
    let (from, until) = hours.split_once('-').unwrap_or((hours, ""));
    serde_json::json!({ "from": from.trim(), "until": until.trim(), "zone": zone.trim() })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_not_given_stays() {
        let base = json!({"name": "a", "backup": {"encryption": "none", "readers": 4}, "labels": {"x": "1"}});
        let fields = Fields::default()
            .set("name", None::<String>)
            .set("backup.encryption", Some("AES256"))
            .or_none("backup.readers", Some(OrNone(Value::Null)))
            .set("retention.daily", Some(7))
            .list("backup.include", vec!["none".into()]);
        assert_eq!(
            fields.onto(base),
            json!({"name": "a", "backup": {"encryption": "AES256", "readers": null, "include": []},
                "labels": {"x": "1"}, "retention": {"daily": 7}})
        );
    }

    #[test]
    fn quiet_hours_have_a_zone() {
        let read = |text: &str| quiet_hours(OrNone(text.into()));
        let berlin = json!({"from": "08:00", "until": "18:00", "zone": "Europe/Berlin"});
        assert_eq!(read("08:00-18:00 Europe/Berlin"), berlin);
        assert_eq!(read("22:00-06:00")["zone"], "UTC");
        assert_eq!(quiet_hours(OrNone(Value::Null)), Value::Null);
    }
}
