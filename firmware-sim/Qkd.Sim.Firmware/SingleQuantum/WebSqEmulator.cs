using System.Globalization;
using System.Net;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Qkd.Sim.Firmware.Transport;

namespace Qkd.Sim.Firmware.SingleQuantum;

/// <summary>
/// An emulated Single Quantum WebSQ detector driver (classic protocol). Control: the host sends bare JSON; every message of the
/// instrument ends in 0x17 or is joined to the next as <c>}{</c>. Counts: <c>time,c1,c2,...</c> and LF on a second port, each measurement period of bench time.
/// </summary>
/// <remarks>
/// <c>labelProps</c> gives each label as an object with <c>value</c> and, where they have any, <c>bounds</c> and <c>units</c>. A set is
/// told to all hosts as <c>{"label":...,"value":...}</c>; what is refused changes nothing and is answered by a label <c>Error</c> to the one who asked. The texts of
/// the errors, the names of the bounds and the order of the labels are ours.
/// </remarks>
public sealed class WebSqEmulator : IEmulatedInstrument
{
    private const byte EndOfMessage = 0x17;

    /// <summary>So many messages of <c>labelProps</c> are joined.</summary>
    private const int JoinedMessages = 3;

    private const double MinimumPeriodMilliseconds = 10;
    private const double MaximumPeriodMilliseconds = 10_000;

    private readonly WebSqSettings _settings;
    private readonly TimeProvider _time;
    private readonly TcpPort _controlPort;
    private readonly TcpPort _countsPort;
    private readonly InstrumentPorts _ports;
    private readonly Lock _gate = new();
    private readonly HashSet<EmulatedLine> _controls = [];
    private readonly HashSet<EmulatedLine> _readers = [];
    private readonly CountsMeter _meter;
    private readonly ITimer _period;
    private readonly ITimer _calibration;
    private readonly long _origin;

    private double[] _bias;
    private double[] _trigger;
    private double[] _darkCounts;
    private readonly double[] _found;
    private long[] _lastCounts;
    private bool _enabled;
    private bool _calibrating;

    /// <summary>Makes the instrument; it is deaf until <see cref="StartAsync"/>.</summary>
    /// <param name="settings">Null for the defaults.</param>
    /// <param name="time">Bench time; null for the system's.</param>
    /// <param name="logger">Null for none.</param>
    /// <exception cref="ArgumentException">A setting is out of range.</exception>
    public WebSqEmulator(WebSqSettings? settings = null, TimeProvider? time = null, ILogger<WebSqEmulator>? logger = null)
    {
        _settings = settings ?? new();
        _settings.Validate();
        _time = time ?? TimeProvider.System;
        _origin = _time.GetTimestamp();
        var count = _settings.DetectorCount;
        _bias = Fill(_settings.BiasMicroamperes);
        _trigger = Fill(_settings.TriggerMillivolts);
        _darkCounts = Fill(100);
        _found = Fill(0);
        _lastCounts = new long[count];
        _enabled = _settings.EnabledAtPowerUp;
        _meter = new(count);
        _meter.Restart(0, 0.1);
        var instrument = $"WebSQ '{_settings.Name}'";
        var address = IPAddress.Parse(_settings.ListenAddress);
        _controlPort = new(instrument, address, _settings.ControlPort, newestOnly: false);
        _countsPort = new(instrument, address, _settings.CountsPort, newestOnly: false);
        _ports = new(instrument, _time, _settings.LateBy, _settings.Seed, logger ?? NullLogger<WebSqEmulator>.Instance);
        _period = _time.CreateTimer(_ => Tick(), null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        _calibration = _time.CreateTimer(_ => FinishCalibration(), null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);

        double[] Fill(double value) => [.. Enumerable.Repeat(value, count)];
    }

    /// <inheritdoc/>
    public string Name => _settings.Name;

    /// <inheritdoc/>
    public string DriverId => "singlequantum.websq";

    /// <inheritdoc/>
    public string Address => _controlPort.Address;

    /// <summary>The counts as <c>Counts</c>.</summary>
    public IReadOnlyDictionary<string, string> Endpoints => _countsPort.Address.Length == 0
        ? new Dictionary<string, string>()
        : new Dictionary<string, string> { ["Counts"] = _countsPort.Address };

    /// <inheritdoc/>
    public IReadOnlyDictionary<string, string> Options { get; } = new Dictionary<string, string>();

    /// <summary>
    /// Whether the detectors see light: bias is on, and every detector has at least half of the current that the calibration would find.
    /// </summary>
    public bool Detecting
    {
        get
        {
            lock (_gate)
            {
                return _enabled && System.Array.TrueForAll(_bias, current => current >= _settings.DarkBiasMicroamperes / 2);
            }
        }
    }

    /// <summary>Whether bias is on: without it nothing clicks.</summary>
    public bool Enabled
    {
        get
        {
            lock (_gate)
            {
                return _enabled;
            }
        }
    }

    private double Now => _time.GetElapsedTime(_origin).TotalSeconds;

    /// <inheritdoc/>
    public async Task StartAsync(CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        try
        {
            _ports.Open(_controlPort, new ControlHandler(this));
            _ports.Open(_countsPort, new CountsHandler(this));
        }
        catch (IOException)
        {
            await _ports.DisposeAsync().ConfigureAwait(false);
            throw;
        }

        lock (_gate)
        {
            _meter.Restart(Now, _meter.PeriodSeconds);
            ArmPeriod();
        }
    }

    /// <summary>Adds clicks of a detector that happened up to the present bench time.</summary>
    /// <param name="detector">0 to one less than the number of detectors.</param>
    /// <param name="counts">How many.</param>
    public void AddCounts(int detector, long counts)
    {
        lock (_gate)
        {
            // A period that ended before these clicks is closed first.
            ClosePeriod();
            if (_enabled)
            {
                _meter.Add(detector, counts);
            }
        }
    }

    /// <inheritdoc/>
    public void Inject(InstrumentFault fault) => _ports.Inject(fault);

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        await _period.DisposeAsync().ConfigureAwait(false);
        await _calibration.DisposeAsync().ConfigureAwait(false);
        await _ports.DisposeAsync().ConfigureAwait(false);
    }

    private void Tick()
    {
        lock (_gate)
        {
            ClosePeriod();
            ArmPeriod();
        }
    }

    private void ArmPeriod() =>
        _period.Change(TimeSpan.FromSeconds(Math.Max(0, _meter.End - Now)) + TimeSpan.FromTicks(1), Timeout.InfiniteTimeSpan);

    private void ClosePeriod()
    {
        if (!_meter.TryClose(Now, out var counts))
        {
            return;
        }

        _lastCounts = counts;
        var seconds = (_time.GetUtcNow() - DateTimeOffset.UnixEpoch).TotalSeconds;
        var text = new StringBuilder().Append(CultureInfo.InvariantCulture, $"{seconds:F3}");
        foreach (var count in counts)
        {
            text.Append(CultureInfo.InvariantCulture, $",{count}");
        }

        var bytes = Encoding.ASCII.GetBytes(text.Append('\n').ToString());
        foreach (var reader in _readers)
        {
            _ports.Send(reader, bytes);
        }
    }

    private void Execute(EmulatedLine line, ReadOnlyMemory<byte> message)
    {
        try
        {
            using var document = JsonDocument.Parse(message);
            var root = document.RootElement;
            if (root.TryGetProperty("request", out var request))
            {
                Answer(line, request.GetString() ?? "");
            }
            else if (root.TryGetProperty("command", out var command))
            {
                Obey(command.GetString() ?? "", root.TryGetProperty("value", out var value) ? value : default);
            }
            else
            {
                throw new RefusedException("neither request nor command");
            }
        }
        catch (RefusedException refused)
        {
            Tell(line, "Error", refused.Message);
        }
        catch (Exception broken) when (broken is JsonException or InvalidOperationException)
        {
            Tell(line, "Error", "message not understood");
        }
    }

    private void Answer(EmulatedLine line, string request)
    {
        if (request == "labelProps")
        {
            TellAllLabels(line);
            return;
        }

        if (Labels().FirstOrDefault(label => label.Name == request) is not { } found)
        {
            throw new RefusedException($"unknown request {request}");
        }

        Tell(line, found.Name, found.Value);
    }

    private void Obey(string command, JsonElement value)
    {
        switch (command)
        {
            case "SetMeasurementPeriod":
                var period = Number(command, value, MinimumPeriodMilliseconds, MaximumPeriodMilliseconds, "ms");
                _meter.Restart(Now, period / 1e3);
                ArmPeriod();
                TellAll("InptMeasurementPeriod", period);
                break;
            case "SetAllBiasCurrents":
                _bias = Numbers(command, value, 0, _settings.MaximumBiasMicroamperes, "uA");
                TellAll("BiasCurrent", Array(_bias));
                break;
            case "SetAllTriggerLevels":
                _trigger = Numbers(command, value, -_settings.MaximumTriggerMillivolts, _settings.MaximumTriggerMillivolts, "mV");
                TellAll("TriggerLevel", Array(_trigger));
                break;
            case "DetectorEnable":
                _enabled = Truth(command, value);
                TellAll("DetectorEnable", _enabled);
                break;
            case "DarkCountsAutoIV":
                _darkCounts = Numbers(command, value, 0, 1e9, "counts");
                TellAll("DarkCountsAutoIV", Array(_darkCounts));
                break;
            case "AutoCaliBiasCurrents":
                _calibrating = Truth(command, value);
                _calibration.Change(_calibrating ? _settings.CalibrationTime : Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
                TellAll("StartAutoIV", _calibrating);
                break;
            default:
                throw new RefusedException($"unknown command {command}");
        }
    }

    /// <summary>
    /// The current at which the wanted dark count rate is reached. Light looks like dark counts: a tenth of the current is lost for each factor of
    /// ten between what was seen and what was wanted.
    /// </summary>
    private void FinishCalibration()
    {
        lock (_gate)
        {
            if (!_calibrating)
            {
                return;
            }

            _calibrating = false;
            for (var detector = 0; detector < _found.Length; detector++)
            {
                var excess = _lastCounts[detector] / _meter.PeriodSeconds / Math.Max(1, _darkCounts[detector]);
                var share = Math.Clamp(1 - (0.1 * Math.Log10(Math.Max(1, excess))), 0, 1);
                _found[detector] = Math.Round(share * _settings.DarkBiasMicroamperes, 2);
            }

            _bias = [.. _found];
            TellAll("BiasCurrentAutoIV", Array(_found));
            TellAll("BiasCurrent", Array(_bias));
            TellAll("StartAutoIV", false);
        }
    }

    private IEnumerable<Label> Labels()
    {
        var volts = _bias.Select(current => _enabled ? Math.Round(current * _settings.SeriesOhms / 1e3, 3) : 0).ToArray();
        yield return new("NumberOfDetectors", _settings.DetectorCount);
        yield return new("InptMeasurementPeriod", _meter.PeriodSeconds * 1e3, MinimumPeriodMilliseconds, MaximumPeriodMilliseconds, "ms");
        yield return new("BiasCurrent", Array(_bias), 0, _settings.MaximumBiasMicroamperes, "uA");
        yield return new("TriggerLevel", Array(_trigger), -_settings.MaximumTriggerMillivolts, _settings.MaximumTriggerMillivolts, "mV");
        yield return new("BiasVoltage", Array(volts), Units: "mV");
        yield return new("DetectorEnable", _enabled);
        yield return new("DarkCountsAutoIV", Array(_darkCounts));
        yield return new("StartAutoIV", _calibrating);
        yield return new("BiasCurrentAutoIV", Array(_found), Units: "uA");
    }

    private void TellAllLabels(EmulatedLine line)
    {
        var bytes = new List<byte>();
        var joined = 0;
        foreach (var label in Labels())
        {
            bytes.AddRange(Message(label.Name, label.ToProperties()));
            if (++joined % JoinedMessages == 0)
            {
                bytes.Add(EndOfMessage);
            }
        }

        if (bytes[^1] != EndOfMessage)
        {
            bytes.Add(EndOfMessage);
        }

        _ports.Send(line, bytes.ToArray());
    }

    private void Tell(EmulatedLine line, string label, JsonNode? value) => _ports.Send(line, [.. Message(label, value), EndOfMessage]);

    private void TellAll(string label, JsonNode? value)
    {
        byte[] message = [.. Message(label, value), EndOfMessage];
        foreach (var line in _controls)
        {
            _ports.Send(line, message);
        }
    }

    private double[] Numbers(string command, JsonElement value, double minimum, double maximum, string unit)
    {
        if (value.ValueKind != JsonValueKind.Array || value.GetArrayLength() != _settings.DetectorCount)
        {
            throw new RefusedException(string.Create(CultureInfo.InvariantCulture, $"{command} needs {_settings.DetectorCount} values"));
        }

        return [.. value.EnumerateArray().Select(element => Number(command, element, minimum, maximum, unit))];
    }

    private static double Number(string command, JsonElement value, double minimum, double maximum, string unit)
    {
        if (value.ValueKind != JsonValueKind.Number)
        {
            throw new RefusedException($"{command} needs a number");
        }

        var number = value.GetDouble();
        return number >= minimum && number <= maximum
            ? number
            : throw new RefusedException(string.Create(CultureInfo.InvariantCulture, $"{command}: {number} is out of range {minimum} to {maximum} {unit}"));
    }

    private static bool Truth(string command, JsonElement value) => value.ValueKind is JsonValueKind.True or JsonValueKind.False
        ? value.GetBoolean()
        : throw new RefusedException($"{command} needs true or false");

    private static JsonArray Array(double[] values) => [.. values.Select(value => (JsonNode)value)];

    private static byte[] Message(string label, JsonNode? value) =>
        JsonSerializer.SerializeToUtf8Bytes(new JsonObject { ["label"] = label, ["value"] = value });

    private sealed record Label(string Name, JsonNode Value, double? Minimum = null, double? Maximum = null, string? Units = null)
    {
        public JsonObject ToProperties()
        {
            var properties = new JsonObject { ["value"] = Value };
            if (Minimum is not null)
            {
                properties["bounds"] = new JsonArray(Minimum, Maximum);
            }

            if (Units is not null)
            {
                properties["units"] = Units;
            }

            return properties;
        }
    }

    private sealed class RefusedException(string message) : Exception(message);

    private sealed class ControlHandler(WebSqEmulator instrument) : ILineHandler
    {
        private readonly Dictionary<EmulatedLine, JsonSplitter> _splitters = [];

        public void Opened(EmulatedLine line)
        {
            lock (instrument._gate)
            {
                instrument._controls.Add(line);
                _splitters[line] = new();
            }
        }

        public void Closed(EmulatedLine line)
        {
            lock (instrument._gate)
            {
                instrument._controls.Remove(line);
                _splitters.Remove(line);
            }
        }

        public void Received(EmulatedLine line, ReadOnlySpan<byte> bytes)
        {
            lock (instrument._gate)
            {
                if (!_splitters[line].Append(bytes, message => instrument.Execute(line, message)))
                {
                    instrument.Tell(line, "Error", "message too long");
                }
            }
        }
    }

    private sealed class CountsHandler(WebSqEmulator instrument) : ILineHandler
    {
        public void Opened(EmulatedLine line)
        {
            lock (instrument._gate)
            {
                instrument._readers.Add(line);
            }
        }

        public void Closed(EmulatedLine line)
        {
            lock (instrument._gate)
            {
                instrument._readers.Remove(line);
            }
        }

        public void Received(EmulatedLine line, ReadOnlySpan<byte> bytes)
        {
            // This port only gives.
        }
    }
}
