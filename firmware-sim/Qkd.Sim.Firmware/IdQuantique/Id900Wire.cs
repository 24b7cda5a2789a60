using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;
using Microsoft.Extensions.Logging;
using NetMQ;
using NetMQ.Sockets;

namespace Qkd.Sim.Firmware.IdQuantique;

/// <summary>
/// The instrument's ZeroMQ sockets and the one thread that owns them: control and stream service (REP) and a PAIR socket for each
/// stream that the host has asked for. Everything that touches the recorder holds its lock.
/// </summary>
internal sealed class Id900Wire : IDisposable
{
    private static readonly TimeSpan LongestInjection = TimeSpan.FromSeconds(2);
    private readonly Id900Settings _settings;
    private readonly TagRecorder _recorder;
    private readonly Id900Commands _commands;
    private readonly DataLinkService _service;
    private readonly Lock _gate;
    private readonly ILogger _logger;
    private readonly NetMQPoller _poller = [];
    private readonly NetMQQueue<Action> _work = new();
    private readonly List<StreamSocket> _streams = [];
    private readonly HashSet<StreamSocket> _blocked = [];
    private readonly Queue<(NetMQSocket Socket, byte[] Answer)> _late = new();
    private readonly NetMQTimer _lateTimer;
    private readonly Random _garbage;

    private ResponseSocket _controlSocket;
    private ResponseSocket _serviceSocket;
    private InstrumentFault _fault;
    private long _lastTaken = Environment.TickCount64;

    /// <exception cref="IOException">A port is in use.</exception>
    public Id900Wire(Id900Settings settings, TagRecorder recorder, Lock gate, TimeProvider time, ILogger logger)
    {
        _settings = settings;
        _recorder = recorder;
        _gate = gate;
        _logger = logger;
        _lateTimer = new NetMQTimer(settings.LateAnswerDelay) { Enable = false };
        _garbage = new Random(unchecked((int)settings.Seed));
        _commands = new Id900Commands(settings, recorder);
        _service = new DataLinkService(recorder, time, System.Net.IPAddress.Parse(settings.ListenAddress), Open, Close);
        try
        {
            (_controlSocket, ControlPort) = Listen(settings.ControlPort);
            try
            {
                (_serviceSocket, ServicePort) = Listen(settings.ServicePort);
            }
            catch (IOException)
            {
                _controlSocket.Dispose();
                throw;
            }
        }
        catch (IOException)
        {
            _work.Dispose();
            _poller.Dispose();
            throw;
        }

        _controlSocket.ReceiveReady += OnControl;
        _serviceSocket.ReceiveReady += OnService;
        _work.ReceiveReady += OnWork;
        _lateTimer.Elapsed += OnLateTimer;
        _poller.Add(_lateTimer);
        _poller.Add(_controlSocket);
        _poller.Add(_serviceSocket);
        _poller.Add(_work);
        _poller.RunAsync($"{settings.Name} (ID900)", isBackgroundThread: true);
    }

    public int ControlPort { get; }

    public int ServicePort { get; }

    /// <summary>When a host last took a message, or when the last one began to wait; <see cref="Environment.TickCount64"/>.</summary>
    public long LastTaken => Volatile.Read(ref _lastTaken);

    /// <summary>Has the thread send what waits. Returns at once.</summary>
    /// <param name="first">Whether nothing waited before, so that the host's time to take it begins now.</param>
    public void Wake(bool first)
    {
        if (first)
        {
            Volatile.Write(ref _lastTaken, Environment.TickCount64);
        }

        _work.Enqueue(PumpAll);
    }

    /// <summary>Sets how the instrument misbehaves. Returns when it does: a request that comes afterwards meets the fault. Not to be called by the wire's own thread.</summary>
    public void Inject(InstrumentFault fault)
    {
        var applied = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        _work.Enqueue(() =>
        {
            Apply(fault);
            applied.SetResult();
        });

        // A wire that is being closed no longer works its queue off.
        applied.Task.Wait(LongestInjection);
    }

    public void Dispose()
    {
        _poller.Dispose();
        foreach (var stream in _streams)
        {
            stream.Dispose();
        }

        _controlSocket.Dispose();
        _serviceSocket.Dispose();
        _work.Dispose();
    }

    private (ResponseSocket Socket, int Port) Listen(int port)
    {
        var socket = new ResponseSocket();
        socket.Options.Linger = TimeSpan.Zero;
        try
        {
            socket.Bind(Endpoint(port));
        }
        catch (NetMQException exception)
        {
            socket.Dispose();
            throw new IOException(
                $"Emulated ID900 '{_settings.Name}' cannot listen on {_settings.ListenAddress} port {port}: {exception.Message}",
                exception);
        }

        var bound = socket.Options.LastEndpoint!;
        return (socket, int.Parse(bound.AsSpan(bound.LastIndexOf(':') + 1), CultureInfo.InvariantCulture));
    }

    private string Endpoint(int port) => string.Create(CultureInfo.InvariantCulture, $"tcp://{_settings.ListenAddress}:{port}");

    private void OnControl(object? sender, NetMQSocketEventArgs args) => Answer(args.Socket, _commands.Execute);

    private void OnService(object? sender, NetMQSocketEventArgs args)
    {
        Answer(args.Socket, _service.Execute);
        PumpAll();
    }

    private void Answer(NetMQSocket socket, Func<string, string> execute)
    {
        try
        {
            var request = string.Join(' ', socket.ReceiveMultipartStrings(Encoding.UTF8));
            string answer;
            lock (_gate)
            {
                answer = execute(request);
            }

            var bytes = Spoil(Encoding.UTF8.GetBytes(answer));
            if (_fault == InstrumentFault.Late)
            {
                SendLater(socket, bytes);
            }
            else
            {
                socket.SendFrame(bytes);
            }
        }
        catch (NetMQException exception)
        {
            // A fault of this connection must not end the thread that serves the others.
            Log.Id900SocketFailed(_logger, _settings.Name, exception);
        }

        // A command such as REC:STOP may have given the streams something.
        PumpAll();
    }

    private byte[] Spoil(byte[] answer)
    {
        if (_fault == InstrumentFault.HalfAnswer)
        {
            return answer[..(answer.Length / 2)];
        }

        if (_fault == InstrumentFault.Garbage)
        {
            answer = new byte[1 + _garbage.Next(40)];
            _garbage.NextBytes(answer);
        }

        return answer;
    }

    private void SendLater(NetMQSocket socket, byte[] answer)
    {
        _late.Enqueue((socket, answer));
        _lateTimer.Enable = true;
    }

    private void OnLateTimer(object? sender, NetMQTimerEventArgs args)
    {
        if (_late.TryDequeue(out var late) && !late.Socket.IsDisposed)
        {
            late.Socket.SendFrame(late.Answer);
        }

        _lateTimer.Enable = _late.Count > 0;
    }

    private void OnWork(object? sender, NetMQQueueEventArgs<Action> args)
    {
        while (args.Queue.TryDequeue(out var work, TimeSpan.Zero))
        {
            try
            {
                work();
            }
            catch (Exception exception) when (exception is NetMQException or IOException)
            {
                Log.Id900SocketFailed(_logger, _settings.Name, exception);
            }
        }
    }

    private void Apply(InstrumentFault fault)
    {
        if (fault == _fault)
        {
            return;
        }

        Log.Id900Fault(_logger, _settings.Name, fault);
        if (_fault == InstrumentFault.Silent)
        {
            // What was asked meanwhile is answered now, late.
            _controlSocket.ReceiveReady += OnControl;
            _serviceSocket.ReceiveReady += OnService;
        }
        else if (_fault == InstrumentFault.Disconnect)
        {
            Reconnect();
        }

        _fault = fault;
        if (fault == InstrumentFault.Silent)
        {
            _controlSocket.ReceiveReady -= OnControl;
            _serviceSocket.ReceiveReady -= OnService;
            foreach (var socket in _blocked)
            {
                socket.Socket.SendReady -= OnSendReady;
            }

            _blocked.Clear();
        }
        else if (fault == InstrumentFault.Disconnect)
        {
            DropConnections();
        }

        PumpAll();
    }

    /// <summary>Closes every socket: the service forgets its streams, as if it had been restarted.</summary>
    private void DropConnections()
    {
        foreach (var stream in _streams.ToArray())
        {
            lock (_gate)
            {
                _recorder.Remove(stream.Stream);
            }

            Close(stream.Stream);
        }

        _poller.RemoveAndDispose(_controlSocket);
        _poller.RemoveAndDispose(_serviceSocket);
    }

    private void Reconnect()
    {
        (_controlSocket, _) = Listen(ControlPort);
        (_serviceSocket, _) = Listen(ServicePort);
        _controlSocket.ReceiveReady += OnControl;
        _serviceSocket.ReceiveReady += OnService;
        _poller.Add(_controlSocket);
        _poller.Add(_serviceSocket);
    }

    private void Open(TagStream stream)
    {
        try
        {
            var socket = new StreamSocket(stream, Endpoint(stream.Port));
            _streams.Add(socket);
            _poller.Add(socket.Socket);
        }
        catch (NetMQException exception)
        {
            throw DataLinkService.PortRefused(stream.Port, exception.Message);
        }
    }

    private void Close(TagStream stream)
    {
        if (_streams.Find(socket => socket.Stream == stream) is { } socket)
        {
            _streams.Remove(socket);
            _blocked.Remove(socket);
            _poller.RemoveAndDispose(socket.Socket);
        }
    }

    private void PumpAll()
    {
        if (_fault == InstrumentFault.Silent)
        {
            return;
        }

        foreach (var stream in _streams)
        {
            Pump(stream);
        }
    }

    /// <summary>Sends until nothing waits or the socket takes no more; then waits to be told when it does.</summary>
    private void Pump(StreamSocket socket)
    {
        while (true)
        {
            StreamMessage message;
            lock (_gate)
            {
                if (!socket.Stream.TryPeek(out message))
                {
                    break;
                }
            }

            // Under garbage the last record of a message is cut short.
            var length = _fault == InstrumentFault.Garbage ? Math.Max(0, message.Length - 3) : message.Length;
            if (_fault == InstrumentFault.RandomRecords)
            {
                Scramble(message, socket.Stream.WithReferenceIndex);
            }

            if (!socket.TrySend(message, length))
            {
                if (_blocked.Add(socket))
                {
                    socket.Socket.SendReady += OnSendReady;
                }

                return;
            }

            Volatile.Write(ref _lastTaken, Environment.TickCount64);
            lock (_gate)
            {
                socket.Stream.TryDequeue(out _);
                _recorder.UpdateBacklog();
            }
        }

        if (_blocked.Remove(socket))
        {
            socket.Socket.SendReady -= OnSendReady;
        }
    }

    /// <summary>Random times where times stand; the index of the reference edge keeps its order, or the stream would not be well-formed.</summary>
    private void Scramble(StreamMessage message, bool withReferenceIndex)
    {
        var words = MemoryMarshal.Cast<byte, long>(message.Bytes.AsSpan(0, message.Length));
        for (var i = 0; i < words.Length; i += withReferenceIndex ? 2 : 1)
        {
            words[i] = _garbage.NextInt64();
        }
    }

    private void OnSendReady(object? sender, NetMQSocketEventArgs args)
    {
        if (_streams.Find(stream => stream.Socket == args.Socket) is { } socket)
        {
            Pump(socket);
        }
    }
}
