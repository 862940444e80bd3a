#!/bin/sh
# talk_erlang.sh FOLDER MESSAGES TRIPS prints JSON; talk.beam is in FOLDER. The names and the cookie
# are of this run alone; epmd stays, as it does for everybody.
id=bench$$
erl -noinput -pa "$1" -name "r$id@127.0.0.1" -setcookie "$id" -run talk receiver "$2" &
exec erl -noinput -pa "$1" -name "s$id@127.0.0.1" -setcookie "$id" \
    -run talk sender "r$id@127.0.0.1" "$2" "$3"
