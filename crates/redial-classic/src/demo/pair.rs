//! Two sockets that speak to each other and to nobody else.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};

use socket2::{Domain, Socket, Type};

use super::{DemoError, Doing, KERNEL_BUFFER_BYTES, PATIENCE};

/// Any free port of the loopback.
const ANYWHERE: (Ipv4Addr, u16) = (Ipv4Addr::LOCALHOST, 0);

/// A TCP connection: who sends, who receives.
pub(super) fn tcp() -> Result<(TcpStream, TcpStream), DemoError> {
    let listener = tcp_socket()?;
    // The accepted connection inherits it (tcp(7)).
    listener
        .set_recv_buffer_size(KERNEL_BUFFER_BYTES)
        .doing("setting SO_RCVBUF")?;
    let anywhere = SocketAddr::from(ANYWHERE);
    listener
        .bind(&anywhere.into())
        .doing("binding to 127.0.0.1")?;
    listener.listen(5).doing("listening on 127.0.0.1")?;
    let listener = TcpListener::from(listener);
    let address = listener.local_addr().doing("asking for our own address")?;

    let sender = tcp_socket()?;
    sender
        .set_send_buffer_size(KERNEL_BUFFER_BYTES)
        .doing("setting SO_SNDBUF")?;
    sender
        .connect_timeout(&address.into(), PATIENCE)
        .doing("connecting to 127.0.0.1")?;
    let sender = TcpStream::from(sender);
    let receiver = accept(&listener, &sender).doing("accepting our own call")?;
    for side in [&sender, &receiver] {
        side.set_read_timeout(Some(PATIENCE))
            .and_then(|()| side.set_write_timeout(Some(PATIENCE)))
            .doing("setting a time limit")?;
    }
    Ok((sender, receiver))
}

/// Two UDP sockets: who sends, who receives. Connected, so that nobody else's datagrams come in.
pub(super) fn udp() -> Result<(UdpSocket, UdpSocket), DemoError> {
    let bound = || UdpSocket::bind(ANYWHERE).doing("binding to 127.0.0.1");
    let (sender, receiver) = (bound()?, bound()?);
    for (one, other) in [(&sender, &receiver), (&receiver, &sender)] {
        let address = other.local_addr().doing("asking for our own address")?;
        one.connect(address).doing("connecting to 127.0.0.1")?;
    }
    receiver
        .set_read_timeout(Some(PATIENCE))
        .doing("setting a time limit")?;
    Ok((sender, receiver))
}

fn tcp_socket() -> Result<Socket, DemoError> {
    Socket::new(Domain::IPV4, Type::STREAM, None).doing("making a TCP socket")
}

/// Our own call: any other program of this machine may dial the port, too.
fn accept(listener: &TcpListener, sender: &TcpStream) -> std::io::Result<TcpStream> {
    let ours = sender.local_addr()?;
    loop {
        // Ours has been connected, so it is in the queue: this ends.
        let (receiver, from) = listener.accept()?;
        if from == ours {
            return Ok(receiver);
        }
    }
}
