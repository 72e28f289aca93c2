/* Listens to streams of events, and says how long each event took from its sending to here.
 *
 *     events PORT STREAMS EVENTS TOKEN_FILE
 *
 * Prints `median p99` in microseconds.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { MOST = 4096, ROOM = 65536 };

typedef struct {
    char text[ROOM];
    size_t length;
} Heard;

static int ascending(const void *one, const void *other) {
    double a = *(const double *)one, b = *(const double *)other;
    return (a > b) - (a < b);
}

static int ask(int port, long events, const char *token) {
    struct sockaddr_in address = {AF_INET, htons(port), {htonl(INADDR_LOOPBACK)}, {0}};
    int fd = socket(AF_INET, SOCK_STREAM, 0), yes = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    if (connect(fd, (void *)&address, sizeof address))
        exit((perror("events"), 1));
    dprintf(fd,
            "GET /events?%ld HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nAccept: text/event-stream\r\n"
            "Authorization: Bearer %s\r\n\r\n",
            events, port, token);
    return fd;
}

/* Take the times out of what has come; returns how many there were. */
static long take(Heard *heard, double *took) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    long found = 0;
    char *at = heard->text, *next;
    heard->text[heard->length] = 0;
    while ((next = strstr(at, "data: ")) && strchr(next, '\n')) {
        took[found++] = (now.tv_sec * 1000000000LL + now.tv_nsec - atoll(next + 6)) / 1000.0;
        at = strchr(next, '\n');
    }
    heard->length -= at - heard->text;
    memmove(heard->text, at, heard->length);
    return found;
}

int main(int count, char **arguments) {
    if (count != 5)
        return 2;
    int streams = atoi(arguments[2]), epoll = epoll_create1(0);
    long events = atol(arguments[3]), seen = 0;
    char token[16384] = "";
    FILE *file = fopen(arguments[4], "r");
    if (!file || fscanf(file, "%16383s", token) != 1)
        return perror("events"), 1;
    static Heard *by_fd[MOST];
    double *took = malloc(sizeof *took * streams * events);
    for (int i = 0; i < streams; i++) {
        struct epoll_event event = {EPOLLIN, {.fd = ask(atoi(arguments[1]), events, token)}};
        by_fd[event.data.fd] = calloc(1, sizeof(Heard));
        epoll_ctl(epoll, EPOLL_CTL_ADD, event.data.fd, &event);
    }
    while (seen < streams * events) {
        struct epoll_event ready[64];
        int some = epoll_wait(epoll, ready, 64, 5000);
        if (some <= 0)
            break;
        for (int i = 0; i < some; i++) {
            Heard *heard = by_fd[ready[i].data.fd];
            ssize_t got = read(ready[i].data.fd, heard->text + heard->length, ROOM - 1 - heard->length);
            if (got <= 0)
                return fprintf(stderr, "events: a stream ended too early\n"), 1;
            heard->length += got;
            seen += take(heard, took + seen);
        }
    }
    if (seen < streams * events)
        return fprintf(stderr, "events: %ld of %ld events came\n", seen, streams * events), 1;
    qsort(took, seen, sizeof *took, ascending);
    printf("%.0f %.0f\n", took[seen / 2], took[seen * 99 / 100]);
}
