//! What the deployment is, and which member to read from: the asking. `choice.rs` decides.

use std::collections::BTreeSet;
use std::time::Duration;

use futures::future::join_all;
use mongodb::bson::{Bson, Document, doc};
use mongodb::options::{ClientOptions, ReadPreference, SelectionCriteria, ServerAddress};
use mongodb::{Client, Database};

use super::choice::{Candidate, Mode, Tags, Wish, choose};
use super::{any_member, run};
use crate::error::{Code, Error, Result};
use crate::help;
use crate::help::Setting;
use crate::members::{Member, MemberState, Source, Topology};
use crate::moment::ClusterTime;

/// How long one member of a set is waited for when all are asked what they are.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// How members are found again and chosen.
#[derive(Debug)]
pub(super) struct Members {
    pub(super) options: ClientOptions,
    pub(super) wish: Wish,
    pub(super) names: Vec<String>,
}

/// A connection to the member to read from, and to no other.
pub(super) struct Chosen {
    pub(super) client: Client,
    /// The newest moment that the member had then; none without an oplog.
    pub(super) newest: Option<ClusterTime>,
    pub(super) source: Source,
    /// How another member is found; none where there is one server alone.
    pub(super) members: Option<Members>,
}

/// Chooses among all members of a replica set; anything else is read where the connection string leads.
pub(super) async fn connect(set: &Client, options: &ClientOptions, wish: Wish) -> Result<Chosen> {
    let hello = hello(set).await?;
    let topology = shape(&hello);
    let (client, hello, members) = match topology {
        Topology::ReplicaSet if options.direct_connection != Some(true) => {
            let looks = look_at_all(set, options, &hello).await;
            let candidates: Vec<Candidate> = looks.iter().map(|look| look.candidate.clone()).collect();
            let members = choose(&candidates, &wish);
            let taken = looks.into_iter().zip(&members).find(|(_, member)| member.taken);
            let Some((Look { answer: Some((client, hello)), .. }, _)) = taken else {
                return Err(nobody(&hello, &members));
            };
            (client, hello, members)
        }
        Topology::ReplicaSet if state(&hello) == MemberState::Arbiter => return Err(arbiter(&hello)),
        _ => (set.clone(), hello, Vec::new()),
    };
    let newest = match topology {
        Topology::ReplicaSet => newest_of(&hello),
        Topology::Standalone | Topology::Sharded => None,
    };
    let names: Vec<String> = members.iter().map(|member| member.name.clone()).collect();
    let source = describe(&client.database("admin"), &hello, topology, members).await?;
    let members = (names.len() > 1).then(|| Members { options: options.clone(), wish, names });
    Ok(Chosen { client, newest, source, members })
}

fn arbiter(hello: &Document) -> Error {
    let name = hello.get_str("me").unwrap_or("the server in the URI");
    Error::new(Code::MongoHost, format!("`{name}` is an arbiter, which holds no data"))
        .help("Name another member of the replica set in the URI, or leave `directConnection=true` out.")
}

/// Seconds that the member is behind the primary; none where one of them does not tell.
pub(super) async fn lag_seconds(set: &Client, member: &Client) -> Option<f64> {
    let primary = SelectionCriteria::ReadPreference(ReadPreference::Primary);
    let ahead = run(&set.database("admin"), doc! { "hello": 1 }, &primary).await.ok()?;
    let behind = hello(member).await.ok()?;
    let millis = last_write(&ahead)?.saturating_sub(last_write(&behind)?).max(0);
    Some(Duration::from_millis(millis.unsigned_abs()).as_secs_f64())
}

pub(super) async fn hello(client: &Client) -> Result<Document> {
    run(&client.database("admin"), doc! { "hello": 1 }, &any_member()).await
}

fn shape(hello: &Document) -> Topology {
    if hello.get_str("msg").is_ok_and(|msg| msg == "isdbgrid") {
        Topology::Sharded
    } else if hello.contains_key("setName") {
        Topology::ReplicaSet
    } else {
        Topology::Standalone
    }
}

/// What one member said, with the connection that it said it on.
pub(super) struct Look {
    pub(super) candidate: Candidate,
    pub(super) answer: Option<(Client, Document)>,
}

/// Asks all members anew, each by itself and not for long.
pub(super) fn look_again(members: &Members) -> impl Future<Output = Vec<Look>> + use<> {
    let (names, options) = (members.names.clone(), members.options.clone());
    async move {
        let asked = names.iter().map(|name| async {
            match tokio::time::timeout(ANSWER_WITHIN * 2, look(name, &options)).await {
                Ok(look) => look,
                Err(_) => unreachable(name, "it does not answer".into()),
            }
        });
        join_all(asked).await
    }
}

/// Every member that is known. Hidden ones do not stand in `hello`: they are found in the set's configuration,
/// where the user may see it (the role `clusterMonitor` may, `backup` may not), else where the URI names them.
async fn look_at_all(set: &Client, options: &ClientOptions, hello: &Document) -> Vec<Look> {
    let named = |key: &str| -> BTreeSet<String> {
        let hosts = hello.get_array(key).map(Vec::as_slice).unwrap_or_default();
        hosts.iter().filter_map(Bson::as_str).map(str::to_lowercase).collect()
    };
    let arbiters = named("arbiters");
    let mut names: BTreeSet<String> = named("hosts");
    names.extend(named("passives"));
    match configured(set).await {
        Some(configured) => names.extend(configured),
        None => names.extend(options.hosts.iter().map(|host| host.to_string().to_lowercase())),
    }
    let names = names.difference(&arbiters);
    let mut looks = join_all(names.map(|name| look(name, options))).await;
    one_look_at_each(&mut looks, hello);
    looks.extend(
        arbiters
            .iter()
            .map(|name| Look { candidate: candidate(name.clone(), MemberState::Arbiter), answer: None }),
    );
    looks
}

/// A name in the URI may be another one for a member that is known by its own already, or lead elsewhere.
fn one_look_at_each(looks: &mut Vec<Look>, hello: &Document) {
    let mut seen = BTreeSet::new();
    let own = hello.get_str("setName").ok();
    looks.retain(|look| {
        let of_this_set = look.answer.as_ref().is_none_or(|(_, said)| said.get_str("setName").ok() == own);
        of_this_set && seen.insert(look.candidate.name.clone())
    });
}

async fn configured(set: &Client) -> Option<Vec<String>> {
    let answer = run(&set.database("admin"), doc! { "replSetGetConfig": 1 }, &any_member()).await.ok()?;
    let members = answer.get_document("config").ok()?.get_array("members").ok()?;
    let host = |member: &Bson| Some(member.as_document()?.get_str("host").ok()?.to_lowercase());
    members.iter().map(host).collect()
}

async fn look(name: &str, options: &ClientOptions) -> Look {
    let asked = async {
        let mut options = options.clone();
        options.hosts = vec![ServerAddress::parse(name).map_err(|e| super::failure::explain(&e))?];
        options.direct_connection = Some(true);
        let within = options.server_selection_timeout.map_or(ANSWER_WITHIN, |asked| asked.min(ANSWER_WITHIN));
        options.server_selection_timeout = Some(within);
        let client = super::client(options)?;
        let said = hello(&client).await?;
        Ok::<_, Error>((client, said))
    };
    match asked.await {
        Ok((client, said)) => Look { candidate: described(name, &said), answer: Some((client, said)) },
        Err(error) => unreachable(name, error.message().to_owned()),
    }
}

fn unreachable(name: &str, why: String) -> Look {
    let candidate = Candidate { failure: Some(why), ..candidate(name.to_owned(), MemberState::Unreachable) };
    Look { candidate, answer: None }
}

fn candidate(name: String, state: MemberState) -> Candidate {
    Candidate {
        name,
        state,
        failure: None,
        hidden: false,
        tags: Tags::new(),
        delay_seconds: 0,
        last_write: None,
    }
}

fn described(name: &str, hello: &Document) -> Candidate {
    let tags = hello.get_document("tags").cloned().unwrap_or_default();
    let tag = |(name, value): (String, Bson)| Some((name, value.as_str()?.to_owned()));
    let delay = hello.get("secondaryDelaySecs").or_else(|| hello.get("slaveDelay"));
    Candidate {
        hidden: says(hello, "hidden"),
        tags: tags.into_iter().filter_map(tag).collect(),
        delay_seconds: delay.map_or(0, super::whole_number),
        last_write: last_write(hello),
        ..candidate(hello.get_str("me").unwrap_or(name).to_lowercase(), state(hello))
    }
}

fn state(hello: &Document) -> MemberState {
    if says(hello, "arbiterOnly") {
        MemberState::Arbiter
    } else if says(hello, "isWritablePrimary") {
        MemberState::Primary
    } else if says(hello, "secondary") {
        MemberState::Secondary
    } else {
        MemberState::Recovering
    }
}

fn says(hello: &Document, what: &str) -> bool {
    hello.get_bool(what).unwrap_or(false)
}

/// What the connection string asks for. Staleness that it limits is lag.
pub(super) fn wish(wanted: Option<SelectionCriteria>, lag_max: Duration) -> Wish {
    let Some(SelectionCriteria::ReadPreference(preference)) = wanted else {
        return Wish { mode: Mode::Free, tag_sets: Vec::new(), lag_max };
    };
    let (mode, options) = match preference {
        ReadPreference::Primary => (Mode::Primary, None),
        ReadPreference::PrimaryPreferred { options } => (Mode::PrimaryPreferred, options),
        ReadPreference::Secondary { options } => (Mode::Secondary, options),
        ReadPreference::SecondaryPreferred { options } => (Mode::SecondaryPreferred, options),
        ReadPreference::Nearest { options } => (Mode::Nearest, options),
        // The driver's list is open; a connection string can ask for no other.
        _ => (Mode::Free, None),
    };
    let options = options.unwrap_or_default();
    let lag_max = options.max_staleness.map_or(lag_max, |staleness| staleness.min(lag_max));
    Wish { mode, tag_sets: options.tag_sets.unwrap_or_default(), lag_max }
}

fn nobody(hello: &Document, members: &[Member]) -> Error {
    let why: Vec<String> =
        members.iter().map(|member| format!("{}: {}", member.name, member.reason)).collect();
    let set = hello.get_str("setName").unwrap_or_default();
    Error::new(
        Code::MongoHost,
        format!("no member of the replica set `{set}` can be read: {}", why.join("; ")),
    )
    .help(help![
        "Check the members with rs.status(), `readPreference=` and its tags in the URI, and ",
        Setting::MaxLag,
        "."
    ])
}

async fn describe(
    admin: &Database,
    hello: &Document,
    topology: Topology,
    members: Vec<Member>,
) -> Result<Source> {
    let build = run(admin, doc! { "buildInfo": 1 }, &any_member()).await?;
    let server_version = build
        .get_str("version")
        .map_err(|_| Error::new(Code::Mongo, "the server does not tell its version"))?
        .to_owned();
    let role = match topology {
        Topology::Standalone => "standalone",
        Topology::Sharded => "mongos",
        Topology::ReplicaSet => state(hello).as_str(),
    };
    let taken = members.iter().find(|member| member.taken);
    Ok(Source {
        topology,
        set_name: hello.get_str("setName").ok().map(str::to_owned),
        server_version,
        feature_compatibility_version: feature_compatibility_version(admin).await,
        member: hello.get_str("me").unwrap_or("the server in the URI").to_owned(),
        member_role: role.to_owned(),
        lag_seconds: taken.filter(|m| m.state == MemberState::Secondary).and_then(|m| m.lag_seconds),
        member_reason: taken.map_or(alone(topology), |member| &member.reason).to_owned(),
        members,
    })
}

fn alone(topology: Topology) -> &'static str {
    match topology {
        Topology::ReplicaSet => "the URI leads to this member alone",
        Topology::Standalone | Topology::Sharded => "it is the only server",
    }
}

/// A user may lack the privilege `getParameter`: then it stays unknown, nothing depends on it.
async fn feature_compatibility_version(admin: &Database) -> Option<String> {
    let command = doc! { "getParameter": 1, "featureCompatibilityVersion": 1 };
    let answer = run(admin, command, &any_member()).await.ok()?;
    let version = answer.get_document("featureCompatibilityVersion").ok()?;
    version.get_str("version").ok().map(str::to_owned)
}

/// The newest moment of a member; none where its answer to `hello` has none, as without an oplog.
pub(super) fn newest_of(hello: &Document) -> Option<ClusterTime> {
    hello.get_timestamp("operationTime").ok().map(ClusterTime::from)
}

/// Milliseconds since 1970.
fn last_write(hello: &Document) -> Option<i64> {
    match hello.get_document("lastWrite").ok()?.get("lastWriteDate")? {
        Bson::DateTime(at) => Some(at.timestamp_millis()),
        _ => None,
    }
}
