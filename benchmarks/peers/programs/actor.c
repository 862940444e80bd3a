/* The C twin of actor.py: tell the time of the first line, then idle. */
#include <fcntl.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

int main(int argc, char **argv) {
    struct timespec born;
    clock_gettime(CLOCK_MONOTONIC, &born);
    char line[64];
    int size = snprintf(line, sizeof line, "%d %lld\n", (int)getpid(),
                        born.tv_sec * 1000000000LL + born.tv_nsec);
    int fifo = open(argc > 1 ? argv[1] : "first-lines", O_WRONLY);
    if (fifo < 0 || write(fifo, line, size) != size)
        return 1;
    for (;;)
        pause();
}
