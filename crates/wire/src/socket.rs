//! The socket of a connection: TCP or unix, TCP with or without TLS.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::Pin;
use std::task::{Context, Poll};

use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
#[cfg(unix)]
use tokio::net::UnixStream;
use tokio_rustls::client::TlsStream;

use crate::config::KeepAlive;
use crate::error::{Error, Result};
use crate::protocol::frontend;
use crate::tls::TlsClient;

/// One address of a server, found once and reused for cancelling.
#[derive(Debug, Clone)]
pub(crate) enum Endpoint {
    Tcp { address: SocketAddr, keep_alive: KeepAlive },
    Unix { path: PathBuf },
}

/// What to do about TLS on one attempt to connect.
#[derive(Debug, Clone)]
pub(crate) enum Encryption {
    None,
    /// TLS where the server has it.
    Offered(TlsClient),
    Required(TlsClient),
}

pub(crate) enum Socket {
    Tcp(TcpStream),
    #[cfg(unix)]
    Unix(UnixStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Socket {
    /// Connects, and negotiates TLS where it is wanted.
    pub(crate) async fn connect(endpoint: &Endpoint, encryption: &Encryption) -> Result<Self> {
        match endpoint {
            Endpoint::Tcp { address, keep_alive } => {
                let stream = TcpStream::connect(address)
                    .await
                    .map_err(|error| Error::io(format!("connecting to {address}"), error))?;
                prepare(&stream, keep_alive)
                    .map_err(|error| Error::io(format!("preparing the socket to {address}"), error))?;
                negotiate(stream, encryption).await
            }
            #[cfg(unix)]
            Endpoint::Unix { path } => {
                let name = socket_address(path)?;
                UnixStream::connect(&name)
                    .await
                    .map(Self::Unix)
                    .map_err(|error| Error::io(format!("connecting to {}", path.display()), error))
            }
            #[cfg(not(unix))]
            Endpoint::Unix { .. } => Err(Error::config("host", "this system has no unix sockets")),
        }
    }

    /// The hash of the server's certificate that SCRAM is bound to, where there is one.
    pub(crate) fn end_point(&self) -> Option<Vec<u8>> {
        let Self::Tls(stream) = self else { return None };
        let (_, session) = stream.get_ref();
        crate::tls::certificate::end_point_hash(session.peer_certificates()?.first()?)
    }

    /// Looks at what has arrived without taking it: the number of bytes, 0 at the end of the stream, or an error,
    /// `WouldBlock` where nothing has.
    pub(crate) fn peek(&self) -> io::Result<usize> {
        let mut byte = [std::mem::MaybeUninit::uninit(); 1];
        match self {
            Self::Tcp(stream) => SockRef::from(stream).peek(&mut byte),
            #[cfg(unix)]
            Self::Unix(stream) => SockRef::from(stream).peek(&mut byte),
            Self::Tls(stream) => SockRef::from(stream.get_ref().0).peek(&mut byte),
        }
    }

    pub(crate) fn is_encrypted(&self) -> bool {
        matches!(self, Self::Tls(_))
    }
}

/// A path that starts with `@` names a socket in Linux's abstract namespace, which is written with a zero byte.
#[cfg(unix)]
fn socket_address(path: &std::path::Path) -> Result<PathBuf> {
    use std::ffi::OsString;
    use std::os::unix::ffi::{OsStrExt, OsStringExt};
    let Some(name) = path.as_os_str().as_bytes().strip_prefix(b"@") else { return Ok(path.to_owned()) };
    if !cfg!(target_os = "linux") {
        return Err(Error::config("host", "only Linux has abstract unix sockets"));
    }
    Ok(OsString::from_vec([b"\0", name].concat()).into())
}

fn prepare(stream: &TcpStream, keep_alive: &KeepAlive) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let socket = SockRef::from(stream);
    #[cfg(any(target_os = "linux", target_os = "android"))]
    if let Some(limit) = keep_alive.unacknowledged {
        socket.set_tcp_user_timeout(Some(limit))?;
    }
    if !keep_alive.enabled {
        return socket.set_keepalive(false);
    }
    let mut options = TcpKeepalive::new();
    if let Some(idle) = keep_alive.idle {
        options = options.with_time(idle);
    }
    if let Some(interval) = keep_alive.interval {
        options = options.with_interval(interval);
    }
    if let Some(count) = keep_alive.count {
        options = options.with_retries(count);
    }
    socket.set_keepalive(true)?;
    socket.set_tcp_keepalive(&options)
}

/// Asks for TLS as the protocol wants it: one message, answered by one byte.
async fn negotiate(mut stream: TcpStream, encryption: &Encryption) -> Result<Socket> {
    let (client, required) = match encryption {
        Encryption::None => return Ok(Socket::Tcp(stream)),
        Encryption::Offered(client) => (client, false),
        Encryption::Required(client) => (client, true),
    };
    let mut request = bytes::BytesMut::new();
    frontend::ssl_request(&mut request);
    stream.write_all(&request).await.map_err(|error| Error::io("asking for TLS", error))?;
    // Exactly one byte is read in the clear: anything an attacker adds behind it goes to TLS, which rejects it.
    match stream.read_u8().await.map_err(|error| Error::io("asking for TLS", error))? {
        b'S' => Ok(Socket::Tls(Box::new(client.connect(stream).await?))),
        b'N' if required => Err(Error::Tls("the server has no TLS, and sslmode demands it".into())),
        b'N' => Ok(Socket::Tcp(stream)),
        b'E' => Err(Error::Tls("the server answered the request for TLS with an error".into())),
        _ => Err(Error::protocol("the answer to the request for TLS is none: this is no PostgreSQL server")),
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_read(context, buffer),
            #[cfg(unix)]
            Self::Unix(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Tls(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write(context, bytes),
            #[cfg(unix)]
            Self::Unix(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_flush(context),
            #[cfg(unix)]
            Self::Unix(stream) => Pin::new(stream).poll_flush(context),
            Self::Tls(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(context),
            #[cfg(unix)]
            Self::Unix(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}
