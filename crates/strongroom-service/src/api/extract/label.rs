//! Lists of resources that have a name and labels.

use serde::{Deserialize, Deserializer, de};
use utoipa::IntoParams;

use crate::model::{LabelKey, LabelValue, Name};

/// Which items.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct LabelQuery {
    /// Only the one of this name.
    #[param(value_type = Option<String>, min_length = 1, max_length = 100)]
    pub(crate) name: Option<Name>,
    /// Only those with this label, as `key=value`.
    #[param(value_type = Option<String>, min_length = 2, max_length = 261, example = "team=shop")]
    pub(crate) label: Option<Label>,
}

/// A label that is looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Label(LabelKey, LabelValue);

impl From<Label> for (LabelKey, LabelValue) {
    fn from(label: Label) -> Self {
        (label.0, label.1)
    }
}

impl<'de> Deserialize<'de> for Label {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        let (key, value) =
            text.split_once('=').ok_or_else(|| de::Error::custom("this is not `key=value`"))?;
        Ok(Self(key.parse().map_err(de::Error::custom)?, value.parse().map_err(de::Error::custom)?))
    }
}
