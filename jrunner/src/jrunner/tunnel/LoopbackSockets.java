package jrunner.tunnel;

import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.net.SocketAddress;
import javax.net.SocketFactory;

/**
 * Sockets that go to this machine's own end of a tunnel, whatever host a driver names: the URL keeps the database's name, which
 * the driver compares with the server's certificate, and has the tunnel's port.
 *
 * <p>Drivers load it by its name; it is the one class of jrunner that they see.
 */
public final class LoopbackSockets extends SocketFactory {
    @Override
    public Socket createSocket() {
        return new Socket() {
            @Override
            public void connect(SocketAddress address, int timeoutMs) throws IOException {
                super.connect(loopback(((InetSocketAddress) address).getPort()), timeoutMs);
            }

            @Override
            public void connect(SocketAddress address) throws IOException {
                connect(address, 0);
            }
        };
    }

    @Override
    public Socket createSocket(String host, int port) throws IOException {
        Socket socket = createSocket();
        socket.connect(loopback(port));
        return socket;
    }

    @Override
    public Socket createSocket(String host, int port, InetAddress localHost, int localPort) throws IOException {
        return createSocket(host, port);
    }

    @Override
    public Socket createSocket(InetAddress host, int port) throws IOException {
        return createSocket((String) null, port);
    }

    @Override
    public Socket createSocket(InetAddress host, int port, InetAddress localHost, int localPort) throws IOException {
        return createSocket((String) null, port);
    }

    private static InetSocketAddress loopback(int port) throws IOException {
        return new InetSocketAddress(InetAddress.getByAddress(new byte[] {127, 0, 0, 1}), port);
    }
}
