/* The upstream of the benchmark: one thread and epoll, so that it is never what limits a proxy.
 *
 *     upstream PORT
 *
 * Any path: 300 bytes of JSON. /echo: the head of the request. /list: an MCP list of twenty tools.
 * /big: 1 MiB. /huge: 1 GiB. /events?N: N events of a stream, one every 10 ms, each with the time of its
 * sending (nanoseconds of CLOCK_MONOTONIC).
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

enum { MOST = 16384, ROOM = 1 << 21, MEBIBYTE = 1 << 20, TICK_NS = 10000000, JSON = 300, TOOLS = 20 };

typedef struct {
    int fd;
    char *in; /* what has come, and is no whole request yet */
    size_t got;
    char *out; /* what has not left yet */
    size_t left, sent;
    long mebibytes; /* still to follow */
    long events;    /* still to be sent; -1 where this is no stream */
} Connection;

static Connection *by_fd[MOST];
static int epoll, streams;
static char *mebibyte, json[JSON + 1], list[8192], date[64];

static void stop(Connection *c) {
    streams -= c->events >= 0;
    by_fd[c->fd] = NULL;
    close(c->fd);
    free(c->in);
    free(c->out);
    free(c);
}

static void watch(Connection *c, unsigned events) {
    struct epoll_event event = {events, {.fd = c->fd}};
    epoll_ctl(epoll, EPOLL_CTL_MOD, c->fd, &event);
}

static int say(Connection *c, const char *data, size_t size) {
    if (!c->out) {
        ssize_t sent = write(c->fd, data, size);
        if (sent < 0 && errno != EAGAIN)
            return -1;
        sent = sent < 0 ? 0 : sent;
        data += sent, size -= sent;
        if (!size)
            return 0;
        watch(c, EPOLLIN | EPOLLOUT);
    }
    c->out = realloc(c->out, c->left + size);
    memcpy(c->out + c->left, data, size);
    c->left += size;
    return 0;
}

static int go_on(Connection *c) {
    while (c->out) {
        ssize_t sent = write(c->fd, c->out + c->sent, c->left - c->sent);
        if (sent < 0)
            return errno == EAGAIN ? 0 : -1;
        c->sent += sent;
        if (c->sent == c->left) {
            free(c->out);
            c->out = NULL, c->left = c->sent = 0;
        }
    }
    while (c->mebibytes && !c->out)
        if (c->mebibytes--, say(c, mebibyte, MEBIBYTE) < 0)
            return -1;
    if (!c->out)
        watch(c, EPOLLIN);
    return 0;
}

static int answer(Connection *c, const char *type, const char *body, size_t size, long mebibytes) {
    char head[256];
    int length = snprintf(head, sizeof head,
                          "HTTP/1.1 200 OK\r\nServer: bench\r\nDate: %s\r\nContent-Type: %s\r\n"
                          "Content-Length: %zu\r\n\r\n",
                          date, type, size + (size_t)mebibytes * MEBIBYTE);
    c->mebibytes = mebibytes;
    char both[sizeof head + sizeof list + 1024];
    if (size > sizeof both - sizeof head)
        return say(c, head, length) || say(c, body, size) ? -1 : 0;
    memcpy(both, head, length);
    memcpy(both + length, body, size);
    return say(c, both, length + size) || (mebibytes && go_on(c)) ? -1 : 0;
}

static int event(Connection *c) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    char data[64], chunk[128];
    int size = snprintf(data, sizeof data, "data: %lld\n\n", now.tv_sec * 1000000000LL + now.tv_nsec);
    int whole = snprintf(chunk, sizeof chunk, "%x\r\n%s\r\n%s", size, data, c->events > 1 ? "" : "0\r\n\r\n");
    if (--c->events == 0)
        c->events = -1, streams--;
    return say(c, chunk, whole);
}

static int respond(Connection *c, const char *request, size_t head) {
    static const char stream[] = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
                                 "Transfer-Encoding: chunked\r\n\r\n";
    const char *path = memchr(request, '/', head);
    if (!path)
        return -1;
    if (!strncmp(path, "/echo", 5))
        return answer(c, "text/plain", request, head, 0);
    if (!strncmp(path, "/list", 5))
        return answer(c, "application/json", list, strlen(list), 0);
    if (!strncmp(path, "/big", 4))
        return answer(c, "application/octet-stream", "", 0, 1);
    if (!strncmp(path, "/huge", 5))
        return answer(c, "application/octet-stream", "", 0, 1024);
    if (!strncmp(path, "/events?", 8)) {
        c->events = atol(path + 8), streams++;
        return say(c, stream, sizeof stream - 1);
    }
    return answer(c, "application/json", json, JSON, 0);
}

/* How long a request is: its head, and its body, which has a length where there is one. */
static size_t whole(const char *request, size_t head) {
    for (const char *line = memchr(request, '\n', head); line && line + 1 < request + head;
         line = memchr(line + 1, '\n', request + head - line - 1))
        if (!strncasecmp(line + 1, "content-length:", 15))
            return head + atol(line + 16);
    return head;
}

static int hear(Connection *c) {
    ssize_t got = read(c->fd, c->in + c->got, ROOM - c->got);
    if (got <= 0)
        return got < 0 && errno == EAGAIN ? 0 : -1;
    c->got += got;
    size_t done = 0;
    for (char *end; (end = memmem(c->in + done, c->got - done, "\r\n\r\n", 4));) {
        size_t head = end + 4 - (c->in + done), size = whole(c->in + done, head);
        if (size > c->got - done)
            break;
        if (respond(c, c->in + done, head) < 0)
            return -1;
        done += size;
    }
    memmove(c->in, c->in + done, c->got - done);
    c->got -= done;
    return 0;
}

static void greet(int listener) {
    int fd, yes = 1;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0 && fd < MOST) {
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
        Connection *c = by_fd[fd] = calloc(1, sizeof *c);
        c->fd = fd, c->in = malloc(ROOM), c->events = -1;
        struct epoll_event event = {EPOLLIN, {.fd = fd}};
        epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
    }
}

static void tick(int timer) {
    unsigned long long missed;
    if (read(timer, &missed, sizeof missed) < 0)
        return;
    time_t now = time(NULL);
    strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S GMT", gmtime(&now));
    for (int fd = 0, left = streams; left && fd < MOST; fd++)
        if (by_fd[fd] && by_fd[fd]->events >= 0) {
            left--;
            if (event(by_fd[fd]) < 0)
                stop(by_fd[fd]);
        }
}

static void prepare(void) {
    mebibyte = malloc(MEBIBYTE);
    memset(mebibyte, 'x', MEBIBYTE);
    static const char begin[] =
        "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"content\":[{\"type\":\"text\",\"text\":\"";
    static const char end[] = "\"}],\"isError\":false}}";
    memset(json, 'a', JSON);
    memcpy(json, begin, sizeof begin - 1);
    memcpy(json + JSON - (sizeof end - 1), end, sizeof end - 1);
    char *at = list + sprintf(list, "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"tools\":[");
    for (int tool = 0; tool < TOOLS; tool++)
        at += sprintf(
            at,
            "%s{\"name\":\"%s_%d\",\"description\":\"Does what a tool of this name does, and says so.\","
            "\"inputSchema\":{\"type\":\"object\",\"properties\":{\"text\":{\"type\":\"string\"}}}}",
            tool ? "," : "", tool % 2 ? "write" : "read", tool);
    strcpy(at, "]}}");
}

int main(int count, char **arguments) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), yes = 1;
    address.sin_port = htons(count > 1 ? atoi(arguments[1]) : 9000);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (bind(listener, (void *)&address, sizeof address) || listen(listener, 1024))
        return perror("upstream"), 1;
    signal(SIGPIPE, SIG_IGN);
    prepare();
    int timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
    struct itimerspec every = {{0, TICK_NS}, {0, 1}};
    timerfd_settime(timer, 0, &every, NULL);
    epoll = epoll_create1(0);
    for (int i = 0; i < 2; i++) {
        struct epoll_event event = {EPOLLIN, {.fd = i ? listener : timer}};
        epoll_ctl(epoll, EPOLL_CTL_ADD, event.data.fd, &event);
    }
    for (struct epoll_event events[256];;) {
        int ready = epoll_wait(epoll, events, 256, -1);
        for (int i = 0; i < ready; i++) {
            int fd = events[i].data.fd;
            if (fd == listener)
                greet(listener);
            else if (fd == timer)
                tick(timer);
            else if (by_fd[fd] && ((events[i].events & EPOLLOUT && go_on(by_fd[fd]) < 0) ||
                                   (events[i].events & ~EPOLLOUT && hear(by_fd[fd]) < 0)))
                stop(by_fd[fd]);
        }
    }
}
