%% Two Erlang nodes on this machine; compiled, since what `erl -eval` reads is interpreted.
-module(talk).
-export([receiver/1, sender/1]).

payload() ->
    #{id => 12345, name => binary:copy(<<"a">>, 40), ok => true,
      data => binary:copy(<<"b">>, 30), x => 1.5}.

receiver([Count]) ->
    Left = list_to_integer(Count) - 1,
    register(receiver, self()),
    receive {task, _} -> ok end,
    Began = erlang:monotonic_time(nanosecond),
    take(Left),
    Spent = erlang:monotonic_time(nanosecond) - Began,
    receive {rate, Who} -> Who ! {rate, Left * 1.0e9 / Spent} end,
    echo().

take(0) -> ok;
take(Left) -> receive {task, _} -> take(Left - 1) end.

echo() ->
    receive
        {ask, From, Payload} -> From ! {reply, Payload}, echo();
        stop -> halt()
    end.

sender([Node, Count, Trips]) ->
    To = {receiver, list_to_atom(Node)},
    connect(list_to_atom(Node)),
    send(To, payload(), list_to_integer(Count)),
    To ! {rate, self()},
    Rate = receive {rate, R} -> R end,
    Took = lists:sort(trips(To, payload(), list_to_integer(Trips), [])),
    Us = lists:nth(length(Took) div 2, Took) / 1000,
    To ! stop,
    io:format("{\"messages_per_s\": ~.1f, \"trip_us\": ~.2f}~n", [Rate, Us]),
    %% Until the other has gone, so that nothing of it is left behind.
    monitor_node(list_to_atom(Node), true),
    receive {nodedown, _} -> halt() end.

connect(Node) ->
    case net_adm:ping(Node) of
        pong -> wait_registered(Node);
        pang -> timer:sleep(20), connect(Node)
    end.

wait_registered(Node) ->
    case rpc:call(Node, erlang, whereis, [receiver]) of
        Pid when is_pid(Pid) -> ok;
        _ -> timer:sleep(20), wait_registered(Node)
    end.

send(_, _, 0) -> ok;
send(To, Payload, Left) -> To ! {task, Payload}, send(To, Payload, Left - 1).

trips(_, _, 0, Took) -> Took;
trips(To, Payload, Left, Took) ->
    Began = erlang:monotonic_time(nanosecond),
    To ! {ask, self(), Payload},
    receive {reply, _} -> ok end,
    trips(To, Payload, Left - 1, [erlang:monotonic_time(nanosecond) - Began | Took]).
