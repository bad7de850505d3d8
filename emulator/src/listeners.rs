// SPDX-License-Identifier: Apache-2.0
//! The listeners: a plain one and one for TLS of each API and of the endpoints of principals, and
//! the admin API's. Each connection
//! that they take is served on the runtime, to its end.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio_rustls::TlsAcceptor;

use crate::admin::Admin;
use crate::connection::{Connection, Socket, Transport};
use crate::error::StartError;
use crate::folder::StateFolder;
use crate::identity::{COMPARTMENT, REGION, config_file};
use crate::ready::{OciReady, Ready};
use crate::server::Server;
use crate::service::Face;
use crate::{principals, s3};

/// Where an emulator listens; of two ports the second is for TLS, and 0 is any.
pub(crate) struct Ports {
    pub(crate) address: IpAddr,
    pub(crate) admin_address: Option<IpAddr>,
    pub(crate) identity_address: Option<IpAddr>,
    pub(crate) oci: (u16, u16),
    pub(crate) s3: (u16, u16),
    pub(crate) identity: (u16, u16),
    pub(crate) admin: u16,
}

/// All listeners of an emulator.
pub(crate) struct Listeners {
    oci: ApiListeners,
    s3: Option<ApiListeners>,
    identity: ApiListeners,
    admin: TcpListener,
}

/// The two listeners of an API.
struct ApiListeners {
    plain: TcpListener,
    tls: TcpListener,
}

impl Listeners {
    /// Listens where `ports` says.
    pub(crate) fn open(ports: &Ports) -> Result<Listeners, StartError> {
        let address = ports.address;
        let pair = |address, (plain, tls)| {
            Ok::<_, StartError>(ApiListeners {
                plain: listen(address, plain)?,
                tls: listen(address, tls)?,
            })
        };
        let loopback = if address.is_loopback() { address } else { Ipv4Addr::LOCALHOST.into() };
        Ok(Listeners {
            oci: pair(address, ports.oci)?,
            s3: if s3::IS_BUILT { Some(pair(address, ports.s3)?) } else { None },
            identity: pair(ports.identity_address.unwrap_or(loopback), ports.identity)?,
            admin: listen(ports.admin_address.unwrap_or(loopback), ports.admin)?,
        })
    }

    /// What clients need to know.
    pub(crate) fn ready(
        &self,
        server: &Server,
        s3: Option<&s3::Service>,
        state: &StateFolder,
    ) -> io::Result<Ready> {
        let identity = (url("http", &self.identity.plain)?, url("https", &self.identity.tls)?);
        let s3 = s3.zip(self.s3.as_ref()).map(|(service, pair)| {
            io::Result::Ok(service.ready(url("http", &pair.plain)?, url("https", &pair.tls)?))
        });
        Ok(Ready {
            oci: OciReady {
                endpoint: url("http", &self.oci.plain)?,
                tls_endpoint: url("https", &self.oci.tls)?,
                ca_bundle: state.ca_file().display().to_string(),
                namespace: server.storage.namespace().to_owned(),
                region: REGION.to_owned(),
                compartment: COMPARTMENT.to_owned(),
                config_file: config_file(&state.path).display().to_string(),
                profile: "DEFAULT".to_owned(),
            },
            s3: s3.transpose()?,
            identity: principals::ready(&server.identity, state, identity),
            admin: url("http", &self.admin)?,
            record: state.record_file().display().to_string(),
        })
    }

    /// Takes connections on the runtime that is entered.
    pub(crate) fn accept(
        self,
        server: &Arc<Server>,
        s3: Option<&s3::Service>,
        acceptor: &TlsAcceptor,
    ) -> io::Result<()> {
        let listener = tokio::net::TcpListener::from_std;
        let s3 = self.s3.zip(s3.cloned().map(Face::S3));
        let pairs = [(self.oci, Face::Oci), (self.identity, Face::Identity)];
        for (ApiListeners { plain, tls }, face) in pairs.into_iter().chain(s3) {
            let (plain, tls) = (listener(plain)?, listener(tls)?);
            tokio::spawn(accept(plain, server.clone(), face.clone(), None));
            tokio::spawn(accept(tls, server.clone(), face, Some(acceptor.clone())));
        }
        let address = self.admin.local_addr()?.ip();
        tokio::spawn(accept_admin(listener(self.admin)?, address, Admin(server.clone())));
        Ok(())
    }
}

fn listen(address: IpAddr, port: u16) -> Result<TcpListener, StartError> {
    let address = SocketAddr::new(address, port);
    let listener =
        TcpListener::bind(address).map_err(|source| StartError::Listen { address, source })?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

fn url(scheme: &str, listener: &TcpListener) -> io::Result<String> {
    Ok(format!("{scheme}://{}", listener.local_addr()?))
}

/// Takes connections until the runtime ends.
async fn accept(
    listener: tokio::net::TcpListener,
    server: Arc<Server>,
    face: Face,
    acceptor: Option<TlsAcceptor>,
) {
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                // File descriptors may be exhausted: give others time to close theirs.
                tracing::warn!(%error, "cannot take a connection");
                server.timer.sleep_until(Instant::now() + Duration::from_millis(10)).await;
                continue;
            }
        };
        // A socket that is gone already is found out by its first read.
        let _ = stream.set_nodelay(true);
        let (server, face, acceptor) = (server.clone(), face.clone(), acceptor.clone());
        tokio::spawn(async move {
            match acceptor {
                None => serve(stream, server, face, false).await,
                Some(acceptor) => match acceptor.accept(stream).await {
                    Ok(stream) => serve(stream, server, face, true).await,
                    Err(error) => tracing::debug!(%error, "TLS handshake failed"),
                },
            }
        });
    }
}

/// Serves one connection to its end.
async fn serve<T: Transport + Send + 'static>(
    stream: T,
    server: Arc<Server>,
    face: Face,
    tls: bool,
) {
    let number = server.last_connection.fetch_add(1, Ordering::Relaxed) + 1;
    let connection =
        Arc::new(Connection::new(number, tls, server.clock.clone(), server.record.clone()));
    let socket = Socket::new(stream, connection.clone(), server.timer.clone());
    let service =
        service_fn(move |request| server.clone().serve(connection.clone(), request, face.clone()));
    let served = hyper::server::conn::http1::Builder::new()
        .auto_date_header(false)
        .serve_connection(TokioIo::new(socket), service)
        .await;
    if let Err(error) = served {
        tracing::debug!(%error, connection = number, "connection ended");
    }
}

async fn accept_admin(listener: tokio::net::TcpListener, address: IpAddr, admin: Admin) {
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "cannot take an admin connection");
                admin.0.timer.sleep_until(Instant::now() + Duration::from_millis(10)).await;
                continue;
            }
        };
        let admin = admin.clone();
        tokio::spawn(async move {
            let service = service_fn(move |request| admin.clone().serve(request, address));
            let served = hyper::server::conn::http1::Builder::new()
                .auto_date_header(false)
                .serve_connection(TokioIo::new(stream), service)
                .await;
            if let Err(error) = served {
                tracing::debug!(%error, "admin connection ended");
            }
        });
    }
}
