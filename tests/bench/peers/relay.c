/* The floor of one connection: bytes from a client to an upstream and back, by nobody who looks at them.
 *
 *     relay PORT UPSTREAM_PORT
 */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static int tcp(int port, int listens) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int fd = socket(AF_INET, SOCK_STREAM, 0), yes = 1;
    address.sin_port = htons(port);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    if (listens ? bind(fd, (void *)&address, sizeof address) || listen(fd, 16)
                : connect(fd, (void *)&address, sizeof address))
        exit((perror("relay"), 1));
    return fd;
}

int main(int count, char **arguments) {
    if (count != 3)
        return 2;
    int listener = tcp(atoi(arguments[1]), 1), yes = 1;
    static char data[65536];
    for (;;) {
        int ends[2] = {accept(listener, NULL, NULL), tcp(atoi(arguments[2]), 0)};
        setsockopt(ends[0], IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
        struct pollfd polled[2] = {{ends[0], POLLIN, 0}, {ends[1], POLLIN, 0}};
        for (int open = 1; open;) {
            poll(polled, 2, -1);
            for (int side = 0; side < 2; side++)
                if (polled[side].revents) {
                    ssize_t got = read(ends[side], data, sizeof data);
                    open = open && got > 0 && write(ends[!side], data, got) == got;
                }
        }
        close(ends[0]), close(ends[1]);
    }
}
