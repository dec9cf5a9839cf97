//! A replica set of several members, each a real mongod.

use mongodb::Client;
use mongodb::bson::{Document, doc};

use crate::mongod::{self, Mongod, Options, SET};
use crate::tools::Missing;

/// A running replica set. Dropped, all of it is gone.
#[derive(Debug)]
pub struct Set {
    members: Vec<Mongod>,
}

impl Set {
    /// A set whose members have these settings (as `replSetInitiate` takes them, without `_id` and `host`). The
    /// first becomes the primary; all others that hold data are secondaries when this comes back.
    ///
    /// # Errors
    /// When a mongod cannot be had or does not start.
    pub async fn start(settings: &[Document], options: Options) -> Result<Self, Missing> {
        let key = Some(options.key.clone().unwrap_or_else(mongod::random_key));
        let options = Options { replica_set: true, key, ..options };
        let members = settings.iter().map(|_| Mongod::spawn(options.clone())).collect::<Result<_, _>>()?;
        let set = Self { members };
        set.initiate(settings, options.auth)
            .await
            .map_err(|e| Missing(format!("the replica set did not start: {e}")))?;
        Ok(set)
    }

    async fn initiate(&self, settings: &[Document], auth: bool) -> Result<(), mongodb::error::Error> {
        let mut admins = Vec::new();
        for member in &self.members {
            admins.push(member.answering().await?);
        }
        let members = self.members.iter().zip(settings).enumerate().map(|(place, (member, settings))| {
            let mut config = doc! { "_id": place as i32, "host": member.address() };
            if place == 0 {
                config.insert("priority", 10);
            }
            config.extend(settings.clone());
            config
        });
        let config = doc! {
            "_id": SET, "members": members.collect::<Vec<_>>(), "settings": { "heartbeatIntervalMillis": 500 },
        };
        admins[0].run_command(doc! { "replSetInitiate": config }).await?;
        mongod::wait_for_primary(&admins[0]).await?;
        for (admin, settings) in admins.iter().zip(settings).skip(1) {
            let state = if settings.contains_key("arbiterOnly") { "arbiterOnly" } else { "secondary" };
            mongod::wait_until(admin, state).await?;
        }
        if auth {
            mongod::make_root(&admins[0]).await?;
        }
        Ok(())
    }

    /// The members, in the order of their settings.
    #[must_use]
    pub fn members(&self) -> &[Mongod] {
        &self.members
    }

    /// Ends one member, as a machine that is gone.
    pub fn end(&mut self, place: usize) {
        drop(self.members.remove(place));
    }

    /// A connection string that names all members, with the root user where there is access control.
    #[must_use]
    pub fn uri(&self) -> String {
        self.uri_for(&self.members[0].root())
    }

    /// A connection string that names all members, with this user info, such as `user:password@` or nothing.
    #[must_use]
    pub fn uri_for(&self, user: &str) -> String {
        let hosts: Vec<String> = self.members.iter().map(Mongod::address).collect();
        let tls = self.members[0].tls_options();
        format!("mongodb://{user}{}/?replicaSet={SET}{tls}", hosts.join(","))
    }

    /// A client of the whole set.
    ///
    /// # Errors
    /// When it cannot connect.
    pub async fn client(&self) -> Result<Client, mongodb::error::Error> {
        mongod::client(&self.uri()).await
    }
}
