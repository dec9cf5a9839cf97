//! Variables of the environment. An empty one counts as not set, as most tools have it; the SDK takes it for a value.

use aws_config::meta::region::ProvideRegion;
use aws_config::profile::{self, ProfileFileRegionProvider};
use aws_config::{ConfigLoader, Region};

use super::StoreOptions;

/// Where a bucket is looked for when nothing says where it is; S3's answer names the right region.
pub(super) const FIRST_REGION: &str = "us-east-1";

/// The value of a variable that is set and not empty.
pub(super) fn set(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.trim().is_empty())
}

/// Whether a variable is set to nothing.
pub(super) fn is_blank(name: &str) -> bool {
    std::env::var(name).is_ok_and(|value| value.trim().is_empty())
}

/// The profile to read, where it is not the one that the SDK would read by itself.
pub(super) fn profile(options: &StoreOptions) -> Option<String> {
    options.profile.clone().or_else(|| is_blank("AWS_PROFILE").then(|| "default".to_owned()))
}

/// A setting of the profile that is in force.
pub(super) async fn of_profile(options: &StoreOptions, name: &str) -> Option<String> {
    let named = profile(options).map(Into::into);
    // What is wrong with the file is said by the SDK, which reads it too.
    let profiles = profile::load(&Default::default(), &Default::default(), &Default::default(), named).await;
    Some(profiles.ok()?.get(name)?.to_owned()).filter(|value| !value.trim().is_empty())
}

/// Sets the region that the SDK would find if the empty variables were not there.
pub(super) async fn with_region(loader: ConfigLoader, options: &StoreOptions) -> ConfigLoader {
    if !is_blank("AWS_REGION") && (set("AWS_REGION").is_some() || !is_blank("AWS_DEFAULT_REGION")) {
        return loader;
    }
    if let Some(region) = set("AWS_REGION").or_else(|| set("AWS_DEFAULT_REGION")) {
        return loader.region(Region::new(region));
    }
    let mut of_profile = ProfileFileRegionProvider::builder();
    if let Some(profile) = profile(options) {
        of_profile = of_profile.profile_name(&profile);
    }
    match of_profile.build().region().await {
        Some(region) => loader.region(region),
        None => loader.region(Region::from_static(FIRST_REGION)),
    }
}
