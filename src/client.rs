// SPDX-License-Identifier: Apache-2.0
//! The front door: a process's client, its builder, and the backends behind its stores.

use crate::auth::Credentials;
use crate::backend::Backend;
use crate::backend::oci::Oci;
use crate::capture;
use crate::config::{Certificates, Config, Listen, SETTINGS};
use crate::context::{Context, Target};
use crate::error::{Error, ErrorKind, Failure, Result};
use crate::listing;
use crate::ops;
use crate::store::Store;
use crate::telemetry;
use crate::timing::{Metrics, RequestId, Scope};
use crate::types::Bucket;
use crate::url::{Scheme, StoreUrl};
use futures_core::stream::BoxStream;
use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::runtime::Handle;
use zeroize::Zeroizing;

/// A process's client: connections, retry budget, metrics. Cheap to clone; clones are the same client.
///
/// Work runs on the runtime given to the builder, else on the one that the caller is in, else on one of its own. A
/// caller's runtime may end without breaking others: connections belong to the runtime they were made on.
#[derive(Clone, Debug)]
pub struct Client(Arc<Context>);

/// Builds a [`Client`].
#[derive(Debug, Default)]
pub struct ClientBuilder {
    config: Option<Config>,
    certificates: Option<Certificates>,
    runtime: Option<Handle>,
    face: Face,
    metrics_endpoint: Option<Listen>,
    credentials: Option<Arc<dyn Credentials>>,
}

/// The language that a client's callers write: its requests say so.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Face {
    /// Rust.
    #[default]
    Rust,
    /// Python, by the wheel.
    Python,
    /// A language of the JVM, by the jar.
    Jvm,
}

impl Face {
    pub(crate) const fn user_agent(self) -> &'static str {
        match self {
            Face::Rust => concat!("storescope/", env!("CARGO_PKG_VERSION"), " (rust)"),
            Face::Python => concat!("storescope/", env!("CARGO_PKG_VERSION"), " (python)"),
            Face::Jvm => concat!("storescope/", env!("CARGO_PKG_VERSION"), " (jvm)"),
        }
    }
}

impl ClientBuilder {
    /// The settings; without them, those of the environment.
    #[must_use]
    pub fn config(mut self, config: Config) -> ClientBuilder {
        self.config = Some(config);
        self
    }

    /// The certificates to trust, in DER, in place of the platform's: for a host program with a trust store of its own.
    /// Those that do not parse are left out. The setting `ca_bundle` precedes them.
    #[must_use]
    pub fn trusted_certificates(mut self, der: impl IntoIterator<Item = Vec<u8>>) -> ClientBuilder {
        self.certificates = Some(Certificates::new(der));
        self
    }

    /// Who signs the requests of OCI stores, in place of what the settings name (`auth`). A store of S3 is given its own
    /// by [`StoreOptions::credentials`].
    #[must_use]
    pub fn credentials(mut self, credentials: impl Credentials) -> ClientBuilder {
        self.credentials = Some(Arc::new(credentials));
        self
    }

    /// The runtime that all work of the client runs on. It must outlive the client's calls.
    #[must_use]
    pub fn runtime(mut self, runtime: Handle) -> ClientBuilder {
        self.runtime = Some(runtime);
        self
    }

    /// The language of the callers, as the user agent tells it.
    #[must_use]
    pub fn face(mut self, face: Face) -> ClientBuilder {
        self.face = face;
        self
    }

    /// Serves what the client records over HTTP, for Prometheus: the setting `metrics_endpoint`. A port alone means
    /// 127.0.0.1.
    ///
    /// ```
    /// # use storescope::{Client, Config};
    /// let client = Client::builder().config(Config::default()).metrics_endpoint(0).build()?;
    /// println!("http://{}/metrics", client.metrics_address().unwrap());
    /// # Ok::<(), storescope::Error>(())
    /// ```
    #[must_use]
    pub fn metrics_endpoint(mut self, at: impl Into<Listen>) -> ClientBuilder {
        self.metrics_endpoint = Some(at.into());
        self
    }

    /// The client. Fails if the environment holds a setting that does not parse, if the port of `metrics_endpoint` is taken,
    /// or if the file of `metrics_log` or `trace` cannot be written. Nothing is asked of a store.
    pub fn build(self) -> Result<Client> {
        let mut config = match self.config {
            Some(config) => config,
            None => Config::from_env()?,
        };
        config.certificates = self.certificates;
        config.metrics_endpoint = self.metrics_endpoint.or(config.metrics_endpoint);
        let agent = self.face.user_agent();
        Ok(Client(Context::new(config, agent, self.runtime, self.credentials)?))
    }
}

impl Client {
    /// Begins a client of its own.
    pub fn builder() -> ClientBuilder {
        ClientBuilder::default()
    }

    /// The process's client, made from the environment when first asked for. What the command line and the bindings use.
    pub fn global() -> Result<&'static Client> {
        static GLOBAL: OnceLock<Result<Client>> = OnceLock::new();
        GLOBAL.get_or_init(|| Client::builder().build()).as_ref().map_err(Clone::clone)
    }

    /// Begins anew in a child made by fork, before anything else is called there: names of requests that parent and child
    /// both gave would be taken for one. The parent's clients, stores and readers are of no use in the child; they must
    /// not even be dropped, since threads that are not there may hold their locks.
    pub fn forked() {
        RequestId::renew();
        telemetry::forked();
    }

    /// Writes what the traces of this process (setting `trace`) hold in memory, and how many lines were left out; waits so
    /// long at most for each. For programs that end without dropping their clients, such as the one of [`Client::global`]:
    /// what was traced in the last second would be missing.
    pub fn flush_traces(grace: Duration) {
        capture::flush_all(grace);
    }

    /// A bucket, and the part of it below the URL's key, as a store. No I/O: what is wrong with configuration, key or
    /// endpoint is told by the first request.
    pub fn store(&self, url: &StoreUrl, options: StoreOptions) -> Result<Store> {
        self.target(url, options).map(Store::new)
    }

    fn target(&self, url: &StoreUrl, options: StoreOptions) -> Result<Target> {
        if !url.holds_objects() {
            return Err(Error::invalid(format!("{url} names no bucket: oci://bucket@namespace/")));
        }
        let (backend, config) = self.backend(url, &options)?;
        Ok(Target::new(&self.0, backend, url, &config, &options.scopes))
    }

    /// Any `object_store::ObjectStore` as a store, below `prefix`: timed and retried like the others. No I/O.
    #[cfg(feature = "object-store")]
    pub fn object_store(
        &self,
        store: Arc<dyn object_store::ObjectStore>,
        prefix: &str,
        options: StoreOptions,
    ) -> Result<Store> {
        let config = options.apply(self.0.config())?;
        let url = StoreUrl::bare(Scheme::Wrapped, prefix);
        let backend = Arc::new(crate::backend::object_store::Wrapped::new(store));
        Ok(Store::new(Target::new(&self.0, backend, &url, &config, &options.scopes)))
    }

    /// The buckets of a service (`oci://@namespace`), in the compartment of the settings.
    pub fn buckets(
        &self,
        at: &StoreUrl,
        options: StoreOptions,
    ) -> BoxStream<'static, Result<Bucket>> {
        match self.backend(at, &options) {
            Ok((backend, config)) => {
                let service = Target::new(&self.0, backend, at, &config, &options.scopes);
                listing::buckets(service)
            }
            Err(error) => Box::pin(futures_util::stream::once(std::future::ready(Err(error)))),
        }
    }

    /// Makes the bucket that the URL names, in the compartment of the settings.
    pub async fn create_bucket(&self, url: &StoreUrl, options: StoreOptions) -> Result<()> {
        ops::bucket::create(&self.target(url, options)?).await
    }

    /// Removes the bucket that the URL names. It must be empty.
    pub async fn delete_bucket(&self, url: &StoreUrl, options: StoreOptions) -> Result<()> {
        ops::bucket::delete(&self.target(url, options)?).await
    }

    /// What this client has recorded, and its gauges.
    pub fn metrics(&self) -> &Metrics {
        self.0.metrics()
    }

    /// Where the scrape endpoint (`metrics_endpoint`) listens; `None` without one, and after [`Client::shutdown`].
    pub fn metrics_address(&self) -> Option<SocketAddr> {
        self.0.telemetry().address()
    }

    /// Writes the interval log (`metrics_log`) and pushes to `otlp_endpoint` now: for a process that ends without dropping
    /// the client. Returns whether all was taken within `grace`; what was not is logged.
    pub async fn flush_metrics(&self, grace: Duration) -> Result<bool> {
        self.0.run(async { Ok(self.0.telemetry().flush(grace).await) }).await
    }

    /// Takes no new calls, waits at most `grace` for those under way, and closes idle connections. Then it flushes the
    /// metrics, again for at most `grace`, and ends their endpoint, log and pushes. Fails with `Timeout` if calls were
    /// still under way.
    pub async fn shutdown(&self, grace: Duration) -> Result<()> {
        self.0.close();
        let gauges = Arc::clone(self.0.gauges());
        let drained =
            self.0.run(async move { Ok(tokio::time::timeout(grace, gauges.drained()).await) });
        let drained = drained.await?;
        self.0.transport().close_idle();
        let ended = async {
            self.0.telemetry().end(grace).await;
            Ok(())
        };
        self.0.run(ended).await?;
        self.0.flush_trace(grace);
        drained.map_err(|_| {
            let left = self.0.metrics().calls_in_flight();
            Failure::new(ErrorKind::Timeout)
                .message(format!("{left} calls were under way after {grace:?}"))
                .into()
        })
    }

    pub(crate) fn context(&self) -> &Arc<Context> {
        &self.0
    }

    fn backend(
        &self,
        url: &StoreUrl,
        options: &StoreOptions,
    ) -> Result<(Arc<dyn Backend>, Config)> {
        let config = options.apply(self.0.config())?;
        let given = options.credentials.clone();
        let (transport, principals) = (self.0.transport(), self.0.principals());
        match url.scheme() {
            Scheme::Oci => {
                let oci = Oci::new(url, config.clone(), transport, principals, given);
                Ok((Arc::new(oci), config))
            }
            #[cfg(feature = "s3")]
            Scheme::S3 => {
                let own = config.clone();
                let s3 = crate::backend::s3::S3::new(url, own, transport, principals, given);
                Ok((Arc::new(s3), config))
            }
            #[cfg(feature = "object-store")]
            Scheme::File => {
                let files = Arc::new(object_store::local::LocalFileSystem::new());
                Ok((Arc::new(crate::backend::object_store::Wrapped::new(files)), config))
            }
            #[cfg(not(feature = "object-store"))]
            Scheme::File => Err(Failure::new(ErrorKind::Unsupported)
                .message(format!("{url}: this build has no file://"))
                .hint("build the crate with its feature `object-store`")
                .into()),
            Scheme::Wrapped => Err(Error::misuse("a wrapped store has no URL of its own")),
            #[cfg(not(feature = "s3"))]
            Scheme::S3 => Err(Failure::new(ErrorKind::Unsupported)
                .message(format!("{url}: built without S3"))
                .hint("build with the feature `s3`")
                .into()),
        }
    }
}

/// What one store has of its own: settings of level *store*, and scopes.
#[derive(Clone, Default)]
#[non_exhaustive]
pub struct StoreOptions {
    config: Option<Config>,
    settings: Vec<(String, Zeroizing<String>)>,
    scopes: Vec<Scope>,
    credentials: Option<Arc<dyn Credentials>>,
}

impl StoreOptions {
    /// Nothing of its own.
    pub fn new() -> StoreOptions {
        StoreOptions::default()
    }

    /// Takes the settings of level *store* from `config`, not from the client's: for stores that are opened after the
    /// environment has changed.
    #[must_use]
    pub fn config(mut self, config: Config) -> StoreOptions {
        self.config = Some(config);
        self
    }

    /// Sets a setting of level *store* by its name (docs/CONFIG.md). A name that is not known, or belongs to the
    /// client, is told by [`Client::store`].
    #[must_use]
    pub fn set(mut self, name: &str, text: impl Into<String>) -> StoreOptions {
        self.settings.push((name.replace('-', "_"), Zeroizing::new(text.into())));
        self
    }

    /// Records the store's requests in this scope, too. A second one is recorded beside the first.
    #[must_use]
    pub fn scope(mut self, scope: &Scope) -> StoreOptions {
        self.scopes.push(scope.clone());
        self
    }

    /// Who signs the store's requests, in place of what the client was given and the settings name.
    #[must_use]
    pub fn credentials(self, credentials: impl Credentials) -> StoreOptions {
        self.shared_credentials(Arc::new(credentials))
    }

    /// The same for several stores: those of one client share what it gives.
    #[must_use]
    pub fn shared_credentials(mut self, credentials: Arc<dyn Credentials>) -> StoreOptions {
        self.credentials = Some(credentials);
        self
    }

    fn apply(&self, base: &Config) -> Result<Config> {
        let mut config = self.config.as_ref().unwrap_or(base).clone();
        for (name, _) in &self.settings {
            config.narrow(name);
        }
        for (name, text) in &self.settings {
            if SETTINGS.iter().any(|setting| setting.name == name && !setting.per_store) {
                return Err(Error::config(format!(
                    "{name} belongs to the client, not to a store: set it in ClientBuilder::config"
                )));
            }
            config.set(name, text)?;
        }
        Ok(config)
    }
}

impl fmt::Debug for StoreOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The values may be secrets.
        let names: Vec<&str> = self.settings.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("StoreOptions").field("settings", &names).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_takes_other_settings_than_its_clients_where_it_is_given_them() {
        let client = Config::default().profile("A".to_owned()).connect_timeout(Duration::ZERO);
        let store = Config::default().profile("B".to_owned()).region("r".to_owned());
        assert_ne!(client, store);
        assert_eq!(store.of_client(), Config::default());
        assert_eq!(
            client.of_client(),
            Config::default().connect_timeout(Duration::ZERO),
            "a setting of the client stays"
        );
        let applied = StoreOptions::new().config(store).set("region", "s").apply(&client).unwrap();
        assert_eq!((applied.profile.as_deref(), applied.region.as_deref()), (Some("B"), Some("s")));
    }

    #[test]
    fn what_a_store_is_given_goes_before_what_its_client_says_of_a_protocol() {
        let base = Config::default().s3_endpoint("s".to_owned()).oci_region("r".to_owned());
        let of = |options: StoreOptions| {
            let config = options.apply(&base).unwrap();
            let endpoint = config.endpoint_of(Scheme::S3).map(str::to_owned);
            (endpoint, config.region_of(Scheme::Oci).map(str::to_owned))
        };
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(of(StoreOptions::new()), (some("s"), some("r")));
        assert_eq!(of(StoreOptions::new().set("endpoint", "e")), (some("e"), some("r")));
        let both = StoreOptions::new().set("s3-endpoint", "x").set("endpoint", "e");
        assert_eq!(of(both.set("region", "t")), (some("x"), some("t")));
    }

    #[test]
    fn options_show_no_values() {
        let options = StoreOptions::new().set("secret_access_key", "pa55w0rd").set("region", "r");
        let shown = format!("{options:?}");
        assert!(shown.contains("secret_access_key") && !shown.contains("pa55w0rd"), "{shown}");
    }
}
