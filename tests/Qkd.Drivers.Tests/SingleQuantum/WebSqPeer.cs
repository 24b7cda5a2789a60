using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Threading.Channels;
using Qkd.Devices;
using Qkd.Drivers.SingleQuantum.WebSq;
using Qkd.Drivers.Tests.Support;

namespace Qkd.Drivers.Tests.SingleQuantum;

/// <summary>A WebSQ of two detectors as a test tells it: answers requests and tells sets back, unless the test's script does otherwise.</summary>
public sealed class WebSqPeer : IAsyncDisposable
{
    public const string End = "\x17";

    private readonly Func<string, string?> _script;
    private readonly ScriptedPeer _control;
    private readonly ScriptedPeer _counts;
    private readonly SemaphoreSlim _writing = new(1, 1);
    private readonly TaskCompletionSource<ScriptedConnection> _countsLine = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly Channel<string> _received = Channel.CreateUnbounded<string>();
    private readonly List<string> _all = [];
    private readonly int _chunk;
    private ScriptedConnection? _controlLine;

    /// <param name="script">The answer to a message, terminators included; null for the usual one, empty for none.</param>
    /// <param name="chunk">So many bytes are sent at once; 0 for all.</param>
    public WebSqPeer(Func<string, string?>? script = null, int chunk = 0)
    {
        _script = script ?? (_ => null);
        _chunk = chunk;
        _control = new(ConverseAsync);
        _counts = new(async (line, token) =>
        {
            _countsLine.TrySetResult(line);
            await line.ReadByteAsync(token);
        });
    }

    /// <summary>What all labels say; joined, one terminator.</summary>
    public const string Labels =
        """{"label":"NumberOfDetectors","value":{"value":2}}"""
        + """{"label":"InptMeasurementPeriod","value":{"value":100,"bounds":[10,10000],"units":"ms"}}"""
        + """{"label":"BiasCurrent","value":{"value":[12.5,8],"bounds":[0,40],"units":"uA"}}"""
        + """{"label":"TriggerLevel","value":{"value":[23,24],"bounds":[-300,300],"units":"mV"}}"""
        + """{"label":"DetectorEnable","value":{"value":false}}""";

    public DeviceAddress Control => _control.Address;

    public DeviceAddress Counts => _counts.Address;

    /// <summary>Every message of the host so far.</summary>
    public IReadOnlyList<string> Received
    {
        get
        {
            lock (_all)
            {
                return [.. _all];
            }
        }
    }

    /// <summary>The answer to a message that an obedient instrument gives.</summary>
    public static string Usual(string message)
    {
        var root = JsonNode.Parse(message)!;
        if (root["request"]?.GetValue<string>() is { } request)
        {
            return request switch
            {
                "labelProps" => Labels + End,
                "BiasVoltage" => """{"label":"BiasVoltage","value":[0.6,0.4]}""" + End,
                _ => $$"""{"label":"Error","value":"no {{request}}"}""" + End,
            };
        }

        var label = root["label"]?.GetValue<string>() ?? root["command"]!.GetValue<string>();
        return new JsonObject { ["label"] = label, ["value"] = root["value"]!.DeepClone() }.ToJsonString() + End;
    }

    /// <summary>The next message of the host.</summary>
    public async Task<string> NextAsync() => await _received.Reader.ReadAsync(TestLimits.Token).WithinLimit();

    /// <summary>Says something on the control connection.</summary>
    public async Task TellAsync(string text)
    {
        await TestLimits.UntilAsync(() => _controlLine is not null);
        await WriteAsync(_controlLine!, text, TestLimits.Token);
    }

    /// <summary>Says something on the counts connection.</summary>
    public async Task CountAsync(string text) => await WriteAsync(await _countsLine.Task.WithinLimit(), text, TestLimits.Token);

    public void HangUpControl() => _control.HangUp();

    public async Task HangUpCountsAsync()
    {
        await _countsLine.Task.WithinLimit();
        _counts.HangUp();
    }

    public DeviceOpenRequest Request(params (string Key, string Value)[] options)
    {
        var all = new Dictionary<string, string> { ["Endpoints:Counts"] = Counts.Text, ["TimeoutSeconds"] = "20" };
        foreach (var (key, value) in options)
        {
            all[key] = value;
        }

        return new() { Name = "detectors", Address = Control, Options = all };
    }

    public async Task<WebSqDetectors> OpenAsync(params (string Key, string Value)[] options) =>
        (WebSqDetectors)await new WebSqDriver().OpenAsync(Request(options), TestLimits.Token).WithinLimit();

    public async ValueTask DisposeAsync()
    {
        await _control.DisposeAsync();
        await _counts.DisposeAsync();
        _writing.Dispose();
    }

    private async Task ConverseAsync(ScriptedConnection line, CancellationToken cancellationToken)
    {
        _controlLine = line;
        while (true)
        {
            var message = await ReadMessageAsync(line, cancellationToken);
            lock (_all)
            {
                _all.Add(message);
            }

            _received.Writer.TryWrite(message);
            await WriteAsync(line, _script(message) ?? Usual(message), cancellationToken);
        }
    }

    /// <summary>Nothing but the braces tells where a message ends.</summary>
    private static async Task<string> ReadMessageAsync(ScriptedConnection line, CancellationToken cancellationToken)
    {
        var text = new StringBuilder();
        var depth = 0;
        do
        {
            var next = (char)await line.ReadByteAsync(cancellationToken);
            depth += next switch { '{' => 1, '}' => -1, _ => 0 };
            text.Append(next);
        }
        while (depth > 0);
        using (JsonDocument.Parse(text.ToString()))
        {
            return text.ToString();
        }
    }

    private async Task WriteAsync(ScriptedConnection line, string text, CancellationToken cancellationToken)
    {
        var bytes = Encoding.Latin1.GetBytes(text);
        await _writing.WaitAsync(cancellationToken);
        try
        {
            foreach (var part in bytes.Chunk(_chunk > 0 ? _chunk : Math.Max(1, bytes.Length)))
            {
                await line.WriteAsync(part, cancellationToken);
            }
        }
        finally
        {
            _writing.Release();
        }
    }
}
