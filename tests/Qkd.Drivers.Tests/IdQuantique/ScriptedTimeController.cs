using System.Buffers.Binary;
using System.Globalization;
using NetMQ;
using NetMQ.Sockets;
using Qkd.Devices;
using Qkd.Drivers.IdQuantique.Id900;
using Qkd.Drivers.Tests.Support;
using Shouldly;

namespace Qkd.Drivers.Tests.IdQuantique;

/// <summary>
/// Plays an ID900, its stream service and the streams of channels 1 and 2 as a test tells it, for what the emulated instrument never does:
/// services that send no empty messages or join several sub-acquisitions in one message, wrong counts, refusals.
/// </summary>
public sealed class ScriptedTimeController : IAsyncDisposable
{
    public const string Name = "scripted tagger";

    private readonly Lock _gate = new();
    private readonly PairSocket _stream = new();
    private readonly PairSocket _second = new();
    private readonly ZmqPeer _control;
    private readonly ZmqPeer _service;
    private readonly int _streamPort;
    private readonly List<IAsyncDisposable> _opened = [];
    private (long Acquisitions, long Timestamps) _counts;

    public ScriptedTimeController()
    {
        _stream.Options.Linger = TimeSpan.Zero;
        _second.Options.Linger = TimeSpan.Zero;
        _streamPort = BindPorts();
        _control = new(command => ControlAnswers(command) ?? string.Join('\n', command.Split(';').Select(AnswerControl)));
        _service = new(command => ServiceAnswers(command) ?? AnswerService(command));
    }

    /// <summary>Answers that differ from the usual ones; null for the usual.</summary>
    public Func<string, string?> ControlAnswers { get; set; } = _ => null;

    /// <inheritdoc cref="ControlAnswers"/>
    public Func<string, string?> ServiceAnswers { get; set; } = _ => null;

    public DeviceAddress Address => _control.Address;

    public DeviceAddress ServiceAddress => _service.Address;

    /// <summary>What the service says of the stream from now on.</summary>
    public void Count(long acquisitions, long timestamps)
    {
        lock (_gate)
        {
            _counts = (acquisitions, timestamps);
        }
    }

    /// <summary>Sends a message of pairs of time and index.</summary>
    public void Send(params (long Time, long Index)[] pairs)
    {
        var bytes = new byte[pairs.Length * 16];
        for (var i = 0; i < pairs.Length; i++)
        {
            BinaryPrimitives.WriteInt64LittleEndian(bytes.AsSpan(i * 16), pairs[i].Time);
            BinaryPrimitives.WriteInt64LittleEndian(bytes.AsSpan((i * 16) + 8), pairs[i].Index);
        }

        _stream.TrySendFrame(TestLimits.Longest, bytes).ShouldBeTrue();
    }

    /// <summary>Pulls the cable of the stream.</summary>
    public void HangUpStream() => _stream.Dispose();

    public async Task<ITimeTagger> OpenAsync(params (string Key, string Value)[] options)
    {
        var all = new Dictionary<string, string>
        {
            ["Endpoints:Stream"] = _service.Address.Text,
            ["StreamPort"] = _streamPort.ToString(CultureInfo.InvariantCulture),
            ["ConnectTimeoutSeconds"] = "2",
            ["StreamTimeoutSeconds"] = "0.3",
        };
        foreach (var (key, value) in options)
        {
            all[key] = value;
        }

        var device = await new Id900Driver().OpenAsync(new() { Name = Name, Address = Address, Options = all }, TestLimits.Token).WithinLimit();
        _opened.Add(device);
        return (ITimeTagger)device;
    }

    /// <summary>Reads channel 1, or more, with STAR as reference.</summary>
    public static RunningStream Read(ITimeTagger tagger, params int[] channels) => new(tagger.ReadTagsAsync(
        new() { Channels = channels.Length > 0 ? channels : [1], ReferenceChannel = 0, AcquisitionLength = TimeSpan.FromMilliseconds(200) },
        TestLimits.Token));

    public async ValueTask DisposeAsync()
    {
        foreach (var opened in _opened)
        {
            await opened.DisposeAsync().AsTask().WaitAsync(TestLimits.Longest);
        }

        await _control.DisposeAsync();
        await _service.DisposeAsync();
        _stream.Dispose();
        _second.Dispose();
    }

    /// <summary>Two ports in a row, the second as free as the first by luck: tried until it is.</summary>
    private int BindPorts()
    {
        while (true)
        {
            var port = _stream.BindRandomPort("tcp://127.0.0.1");
            try
            {
                _second.Bind(string.Create(CultureInfo.InvariantCulture, $"tcp://127.0.0.1:{port + 1}"));
                return port;
            }
            catch (NetMQException)
            {
                _stream.Unbind(string.Create(CultureInfo.InvariantCulture, $"tcp://127.0.0.1:{port}"));
            }
        }
    }

    private static string AnswerControl(string command) => command.TrimStart(':') switch
    {
        "*IDN?" => "ID Quantique,ID900,1,1",
        "REC:STAGe?" => "PLAYING",
        "DEVI:RES:BWID?" => "1TB",
        ['R', 'A', 'W', _, .. ":ERRORS?"] => "0",
        _ => "whatever it says",
    };

    private string AnswerService(string command)
    {
        lock (_gate)
        {
            return command.Split(' ')[0] switch
            {
                "list" => "[]",
                "start-stream" => command.Contains("--channel 1 ", StringComparison.Ordinal) ? """{"id":"7"}""" : """{"id":"8"}""",
                "status" => string.Create(
                    CultureInfo.InvariantCulture,
                    $$"""{"acquisitions_count":{{_counts.Acquisitions}},"timestamps_count":{{_counts.Timestamps}},"inactivity":0,"errors":[]}"""),
                "stop" => """{"status":{}}""",
                _ => """{"error":{"description":"what?"}}""",
            };
        }
    }
}
