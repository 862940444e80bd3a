/* The floor: start a program again whenever it ends, and nothing else. */
#include <spawn.h>
#include <sys/wait.h>

extern char **environ;

int main(int argc, char **argv) {
    if (argc < 2)
        return 2;
    for (;;) {
        pid_t pid;
        int status;
        if (posix_spawn(&pid, argv[1], 0, 0, argv + 1, environ) != 0)
            return 1;
        if (waitpid(pid, &status, 0) != pid)
            return 1;
    }
}
