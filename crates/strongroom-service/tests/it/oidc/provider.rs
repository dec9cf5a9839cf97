//! A small OpenID Connect provider: discovery, keys, and a token endpoint that checks PKCE. Its tokens are signed with
//! another library than the one that reads them, and can be made wrong.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair, RSA_PKCS1_SHA256, RsaKeyPair,
};
use aws_lc_rs::{digest, hmac};
use axum::extract::State;
use axum::response::Redirect;
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::StatusCode;
use reqwest::Url;
use serde_json::{Value, json};

/// The client's secret at the provider.
pub(crate) const SECRET: &str = "hush-hush-hush-hush-hush-hush-hush";

/// How a token is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Signed {
    Rs256,
    Es256,
    /// With a key that the provider does not publish.
    Unknown,
    /// With the client's secret.
    Hs256,
    Not,
}

/// What the next token says, and how it is signed.
#[derive(Debug, Clone)]
pub(crate) struct Next {
    pub(crate) claims: Value,
    pub(crate) signed: Signed,
    /// The challenge that the verifier must fit.
    pub(crate) challenge: String,
}

struct Keys {
    rsa: RsaKeyPair,
    unknown: RsaKeyPair,
    ec: EcdsaKeyPair,
}

struct Inner {
    issuer: String,
    keys: Keys,
    next: Mutex<Option<Next>>,
    redirects: bool,
}

/// A provider that listens on loopback.
#[derive(Clone)]
pub(crate) struct Provider(Arc<Inner>);

impl Provider {
    pub(crate) async fn start() -> Self {
        Self::with(false).await
    }

    /// One whose discovery leads elsewhere.
    pub(crate) async fn that_redirects() -> Self {
        Self::with(true).await
    }

    async fn with(redirects: bool) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let issuer = format!("http://{}", listener.local_addr().unwrap());
        let keys = Keys {
            rsa: RsaKeyPair::generate(KeySize::Rsa2048).unwrap(),
            unknown: RsaKeyPair::generate(KeySize::Rsa2048).unwrap(),
            ec: EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap(),
        };
        let provider = Self(Arc::new(Inner { issuer, keys, next: Mutex::new(None), redirects }));
        let router = Router::new()
            .route("/.well-known/openid-configuration", get(discovery))
            .route("/elsewhere", get(async |State(it): State<Self>| Json(it.metadata())))
            .route("/keys", get(async |State(it): State<Self>| Json(it.published())))
            .route("/token", post(token))
            .with_state(provider.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        provider
    }

    pub(crate) fn issuer(&self) -> &str {
        &self.0.issuer
    }

    pub(crate) fn answer_next(&self, next: Next) {
        *self.0.next.lock().unwrap() = Some(next);
    }

    fn metadata(&self) -> Value {
        let issuer = self.issuer();
        json!({
            "issuer": issuer,
            "authorization_endpoint": format!("{issuer}/authorize"),
            "token_endpoint": format!("{issuer}/token"),
            "jwks_uri": format!("{issuer}/keys"),
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256", "ES256", "HS256", "none"],
        })
    }

    fn published(&self) -> Value {
        let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        // PKCS #1 for 2048 bits: a header of nine bytes, the modulus, and the exponent 65537.
        let rsa = self.0.keys.rsa.public_key().as_ref();
        assert_eq!((rsa.len(), &rsa[..9]), (270, &[0x30, 0x82, 1, 10, 2, 0x82, 1, 1, 0][..]));
        let point = self.0.keys.ec.public_key().as_ref();
        json!({"keys": [
            {"kty": "RSA", "use": "sig", "kid": "rsa", "n": encode(&rsa[9..265]), "e": "AQAB"},
            {"kty": "EC", "use": "sig", "kid": "ec", "crv": "P-256", "x": encode(&point[1..33]),
             "y": encode(&point[33..])},
        ]})
    }

    fn token(&self, next: &Next) -> String {
        let (kid, alg) = match next.signed {
            Signed::Rs256 | Signed::Unknown => ("rsa", "RS256"),
            Signed::Es256 => ("ec", "ES256"),
            Signed::Hs256 => ("rsa", "HS256"),
            Signed::Not => ("rsa", "none"),
        };
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let text = format!("{}.{}", part(&json!({"alg": alg, "kid": kid, "typ": "JWT"})), part(&next.claims));
        let signature = self.signature(next.signed, text.as_bytes());
        format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    fn signature(&self, signed: Signed, text: &[u8]) -> Vec<u8> {
        let (keys, random) = (&self.0.keys, SystemRandom::new());
        let rsa = |key: &RsaKeyPair| {
            let mut signature = vec![0; key.public_modulus_len()];
            key.sign(&RSA_PKCS1_SHA256, &random, text, &mut signature).unwrap();
            signature
        };
        match signed {
            Signed::Rs256 => rsa(&keys.rsa),
            Signed::Unknown => rsa(&keys.unknown),
            Signed::Es256 => keys.ec.sign(&random, text).unwrap().as_ref().to_vec(),
            Signed::Hs256 => {
                hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes()), text).as_ref().to_vec()
            }
            Signed::Not => Vec::new(),
        }
    }
}

async fn discovery(State(it): State<Provider>) -> Result<Json<Value>, Redirect> {
    if it.0.redirects { Err(Redirect::temporary("/elsewhere")) } else { Ok(Json(it.metadata())) }
}

async fn token(State(it): State<Provider>, body: String) -> (StatusCode, Json<Value>) {
    let query = Url::parse(&format!("http://localhost/?{body}")).unwrap();
    let form: HashMap<_, _> = query.query_pairs().into_owned().collect();
    let refused = || (StatusCode::BAD_REQUEST, Json(json!({"error": "invalid_grant"})));
    let Some(next) = it.0.next.lock().unwrap().take() else { return refused() };
    let hashed = digest::digest(&digest::SHA256, form["code_verifier"].as_bytes());
    if form["code"] != "good" || URL_SAFE_NO_PAD.encode(hashed) != next.challenge {
        return refused();
    }
    let token = it.token(&next);
    let answer = json!({"access_token": "a", "token_type": "Bearer", "expires_in": 60, "id_token": token});
    (StatusCode::OK, Json(answer))
}
