//! Whether a bucket policy is public. Source: Amazon S3 User Guide, "Blocking public access to your Amazon S3
//! storage", "The meaning of public".

use iam_policy::{Condition, Effect, Policy};
use ipnet::IpNet;
use serde_json::Value;

/// Keys that narrow a grant to everyone down, when they are compared with fixed values.
const PINNING_KEYS: [&str; 14] = [
    "aws:principalaccount",
    "aws:principalarn",
    "aws:principalorgid",
    "aws:sourceaccount",
    "aws:sourcearn",
    "aws:sourceip",
    "aws:sourceorgid",
    "aws:sourceowner",
    "aws:sourcevpc",
    "aws:sourcevpce",
    "aws:userid",
    "s3:dataaccesspointaccount",
    "s3:dataaccesspointarn",
    "s3:x-amz-server-side-encryption-aws-kms-key-id",
];
/// Operators under which only the listed values pass: none that is negated, or content with a missing key.
const PINNING_OPERATORS: [&str; 6] =
    ["StringEquals", "StringEqualsIgnoreCase", "StringLike", "ArnEquals", "ArnLike", "IpAddress"];
/// The widest ranges of addresses that are not public.
const IPV4_PREFIX_MIN: u8 = 8;
const IPV6_PREFIX_MIN: u8 = 32;

/// Whether some statement allows something to everyone. A Deny makes nothing public.
pub(crate) fn is_public(policy: &Policy) -> bool {
    let written = match policy.document().get("Statement") {
        Some(Value::Array(statements)) => statements.as_slice(),
        Some(statement) => std::slice::from_ref(statement),
        None => &[],
    };
    let mut statements = policy.statements().iter().zip(written);
    statements.any(|(statement, written)| {
        statement.effect() == Effect::Allow
            && is_for_everyone(written)
            && !statement.conditions().iter().any(pins)
    })
}

/// An Allow with NotPrincipal is for everyone but a few.
fn is_for_everyone(statement: &Value) -> bool {
    let wildcard = |value: &Value| match value {
        Value::String(text) => text == "*",
        Value::Array(list) => list.iter().any(|entry| entry == "*"),
        _ => false,
    };
    match statement.get("Principal") {
        Some(Value::Object(kinds)) => kinds.values().any(wildcard),
        Some(principal) => wildcard(principal),
        None => statement.get("NotPrincipal").is_some(),
    }
}

fn pins(condition: &Condition) -> bool {
    let operator = condition.operator();
    let operator = operator.strip_prefix("ForAnyValue:").unwrap_or(operator);
    let key = condition.key().to_ascii_lowercase();
    PINNING_OPERATORS.contains(&operator)
        && PINNING_KEYS.contains(&key.as_str())
        && condition.values().all(|value| match key.as_str() {
            "aws:sourceip" => is_narrow(value),
            _ => !value.contains(['*', '?']) && !value.contains("${"),
        })
}

fn is_narrow(range: &str) -> bool {
    match range.parse::<IpNet>() {
        Ok(IpNet::V4(net)) => net.prefix_len() >= IPV4_PREFIX_MIN,
        Ok(IpNet::V6(net)) => net.prefix_len() >= IPV6_PREFIX_MIN,
        // One address alone.
        Err(_) => range.parse::<std::net::IpAddr>().is_ok(),
    }
}

#[cfg(test)]
mod tests {
    use iam_policy::Kind;
    use serde_json::json;

    use super::*;

    fn public(statement: &Value) -> bool {
        let mut statement = statement.clone();
        statement["Action"] = json!("s3:GetObject");
        statement["Resource"] = json!("arn:aws:s3:::b/*");
        let text = json!({"Version": "2012-10-17", "Statement": [statement]}).to_string();
        is_public(&Policy::parse(&text, Kind::Resource).unwrap())
    }

    #[test]
    fn everyone_is_public() {
        for principal in
            [json!("*"), json!({"AWS": "*"}), json!({"AWS": ["arn:aws:iam::111122223333:root", "*"]})]
        {
            assert!(public(&json!({"Effect": "Allow", "Principal": principal})), "{principal}");
            assert!(!public(&json!({"Effect": "Deny", "Principal": principal})), "{principal}");
        }
        let named = json!({"AWS": "arn:aws:iam::111122223333:root"});
        assert!(!public(&json!({"Effect": "Allow", "Principal": named})));
    }

    #[test]
    fn a_condition_pins_everyone_down_or_does_not() {
        let with = |condition: Value| json!({"Effect": "Allow", "Principal": "*", "Condition": condition});
        for pinned in [
            json!({"IpAddress": {"aws:SourceIp": "203.0.113.0/24"}}),
            json!({"StringEquals": {"aws:PrincipalOrgID": "o-1"}}),
            json!({"StringEquals": {"aws:sourcevpce": ["vpce-1", "vpce-2"]}}),
            json!({"ArnLike": {"aws:PrincipalArn": "arn:aws:iam::111122223333:role/r"}}),
        ] {
            assert!(!public(&with(pinned.clone())), "{pinned}");
        }
        for open in [
            json!({"IpAddress": {"aws:SourceIp": "0.0.0.0/1"}}),
            json!({"IpAddress": {"aws:SourceIp": ["203.0.113.0/24", "::/0"]}}),
            json!({"NotIpAddress": {"aws:SourceIp": "203.0.113.0/24"}}),
            json!({"StringEqualsIfExists": {"aws:PrincipalOrgID": "o-1"}}),
            json!({"StringLike": {"aws:PrincipalArn": "arn:aws:iam::*:role/r"}}),
            json!({"Bool": {"aws:SecureTransport": "true"}}),
        ] {
            assert!(public(&with(open.clone())), "{open}");
        }
    }
}
