using System.Globalization;
using System.Runtime.CompilerServices;
using Qkd.Devices;
using Qkd.Devices.Drivers;
using Qkd.Transports.Zmq;

namespace Qkd.Drivers.IdQuantique.Id900;

/// <summary>
/// An ID Quantique ID900 or ID1000. Channel 0 is the input STAR, 1 to 4 are INPU1 to INPU4. Disposing ends the acquisition and leaves
/// the inputs as they are.
/// </summary>
/// <remarks>
/// Commands from the IDQ Time Controller Series SCPI manual and the vendor's public Python examples: texts over ZeroMQ, and each is
/// answered. The wording of answers to settings is not documented, so they count as done unless they have the form of an error, and
/// what matters is read back.
/// </remarks>
public sealed class Id900TimeController : DeviceBase, ITimeTagger
{
    /// <summary>Tags a second over all channels that the stream sustains; beyond that it stops.</summary>
    public const double MaximumTagRateHertz = 10e6;

    /// <summary>Longest delay of an input, in picoseconds.</summary>
    public const long MaximumDelayPicoseconds = 1_000_000_000_000;

    private const string WhatItShouldBe = "ID Quantique ID900 or ID1000";
    private const double ThresholdToleranceVolts = 0.01;
    private static readonly string[] Inputs = ["STAR", "INPU1", "INPU2", "INPU3", "INPU4"];

    private readonly DeviceOpenRequest _request;
    private readonly Id900Settings _settings;
    private readonly ZmqRequestTransport _transport;
    private TaggerCapabilities? _capabilities;
    private TagAcquisition? _acquisition;

    internal Id900TimeController(DeviceOpenRequest request, Id900Settings settings, ZmqRequestTransport transport)
        : base(request)
    {
        (_request, _settings, _transport) = (request, settings, transport);
        for (var channel = 0; channel < Inputs.Length; channel++)
        {
            AddInputParameters(channel);
        }

        AddParameter("bin_width", "ps", ReadBinWidthAsync);
        AddParameter("record_stage", "", token => QueryAsync("REC:STAGe?", ReadWord, token));
    }

    /// <inheritdoc/>
    public TaggerCapabilities TaggerCapabilities => _capabilities ?? throw new InvalidOperationException($"{Name} is not open.");

    /// <inheritdoc/>
    /// <remarks>Switches the input on, with DC coupling and without pulse shaping, and reads back what was set.</remarks>
    /// <exception cref="DeviceRefusedException">The instrument refused a setting or keeps another value.</exception>
    public async ValueTask ConfigureInputAsync(TaggerInput input, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(input);
        ThrowIfUnusable();
        RequireChannel(input.Channel, 0);
        RequireRange("threshold", input.ThresholdVolts, -_settings.ThresholdLimitVolts, _settings.ThresholdLimitVolts, "V");
        RequireRange("delay", input.DelayPicoseconds, 0, MaximumDelayPicoseconds, "ps");
        var name = Inputs[input.Channel];
        var (threshold, edge) = (Volts(input.ThresholdVolts), input.Slope == EdgeSlope.Rising ? "RISING" : "FALLING");
        await CommandAsync($"{name}:ENAB ON;COUP DC;SELE UNSHAPED;EDGE {edge};THRE {threshold}", cancellationToken).ConfigureAwait(false);
        await SetDelayAsync(input.Channel, input.DelayPicoseconds, cancellationToken).ConfigureAwait(false);

        var kept = await AskAsync($"{name}:ENAB?;THRE?;EDGE?", 3, cancellationToken).ConfigureAwait(false);
        if (!ScpiReply.TrySwitch(kept[0], out var enabled)
            || !ScpiReply.TryNumber(kept[1], out var volts, "V")
            || ReadEdge(kept[2]) is not { } slope)
        {
            throw Unexpected($"{name}:ENAB?;THRE?;EDGE?", kept);
        }

        if (!enabled || slope != input.Slope || Math.Abs(volts - input.ThresholdVolts) > ThresholdToleranceVolts)
        {
            throw new DeviceRefusedException(
                Name, Address.Text, $"{name} on, {threshold}, {edge}", $"it keeps {string.Join(", ", kept)}");
        }
    }

    /// <inheritdoc/>
    /// <remarks>
    /// A batch is a sub-acquisition, empty where nothing came; between two of them nothing is recorded for 40 ns. Four batches are
    /// buffered; a reader who is further behind pushes the instrument back, and what that then drops is told before the next batch.
    /// Tags faster than <see cref="MaximumTagRateHertz"/> end the stream; it may be started again.
    /// </remarks>
    /// <exception cref="SettingOutOfRangeException">A channel, or the length of a sub-acquisition, that the instrument does not have.</exception>
    public async IAsyncEnumerable<TagBatch> ReadTagsAsync(
        TagStreamRequest request, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(request);
        ThrowIfUnusable();
        Check(request);
        var acquisition = new TagAcquisition(this, _request, _settings, request);
        if (Interlocked.CompareExchange(ref _acquisition, acquisition, null) is not null)
        {
            throw new DeviceException(Name, Address.Text, "tags are being read already, one stream at a time");
        }

        try
        {
            await acquisition.StartAsync(cancellationToken).ConfigureAwait(false);
            await foreach (var batch in acquisition.Batches.ReadAllAsync(cancellationToken).ConfigureAwait(false))
            {
                yield return batch;
            }
        }
        finally
        {
            await acquisition.DisposeAsync().ConfigureAwait(false);
            Volatile.Write(ref _acquisition, null);
        }
    }

    /// <summary>Asks who it is, and finds its stream service.</summary>
    /// <exception cref="WrongDeviceException">Another instrument answered.</exception>
    internal async ValueTask IdentifyAsync(CancellationToken cancellationToken)
    {
        string text;
        try
        {
            text = (await AskAsync("*IDN?", 1, cancellationToken).ConfigureAwait(false))[0];
        }
        catch (Exception other) when (other is DeviceProtocolException or DeviceRefusedException)
        {
            throw new WrongDeviceException(Name, Address.Text, WhatItShouldBe, other.Message);
        }

        var fields = text.Split(',', StringSplitOptions.TrimEntries);
        var model = Array.FindIndex(fields, field => ModelOf(field) is not null);
        if (model < 0)
        {
            throw new WrongDeviceException(Name, Address.Text, WhatItShouldBe, DataLinkClient.Printable(text));
        }

        Identity = new(
            model > 0 ? fields[model - 1] : "ID Quantique",
            ModelOf(fields[model])!,
            fields.ElementAtOrDefault(model + 1) ?? "",
            fields.ElementAtOrDefault(model + 2) ?? "");
        if (_settings.SerialNumber.Length > 0 && _settings.SerialNumber != Identity.SerialNumber)
        {
            throw new WrongDeviceException(Name, Address.Text, $"serial number {_settings.SerialNumber}", Identity.ToString());
        }

        var resolution = await ReadBinWidthAsync(cancellationToken).ConfigureAwait(false);
        _capabilities = new()
        {
            Channels = [1, 2, 3, 4],
            ReferenceChannels = [0, 1, 2, 3, 4],
            ResolutionPicoseconds = resolution,
            MaximumTagRateHertz = MaximumTagRateHertz,
            ThresholdVolts = new(-_settings.ThresholdLimitVolts, _settings.ThresholdLimitVolts),
        };
        await using var service = await DataLinkClient.ConnectAsync(_request, _settings, cancellationToken).ConfigureAwait(false);
        await service.ListAsync(cancellationToken).ConfigureAwait(false);
    }

    /// <summary>What the instrument calls a channel.</summary>
    internal static string InputName(int channel) => Inputs[channel];

    /// <summary>Sends a command; its answer only matters if it is an error.</summary>
    /// <exception cref="DeviceRefusedException">It is.</exception>
    internal async ValueTask CommandAsync(string command, CancellationToken cancellationToken) =>
        await AskAsync(command, null, cancellationToken).ConfigureAwait(false);

    /// <summary>Sends a command and returns the lines of its answer.</summary>
    /// <param name="command">One command or several.</param>
    /// <param name="lines">How many lines there must be; null for any.</param>
    /// <param name="cancellationToken">Gives up.</param>
    internal ValueTask<string[]> AskAsync(string command, int? lines, CancellationToken cancellationToken) => ExchangeAsync(
        $"'{command}'",
        _settings.Timeout,
        async token =>
        {
            var text = await _transport.RequestAsync(command, _settings.Timeout, token).ConfigureAwait(false);
            var answer = text.Split('\n', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries);
            if (Array.Find(answer, ScpiReply.IsError) is { } error)
            {
                throw new DeviceRefusedException(Name, Address.Text, $"'{command}'", error);
            }

            return lines is null || answer.Length == lines ? answer : throw Unexpected(command, answer);
        },
        cancellationToken);

    /// <summary>An answer that cannot be understood.</summary>
    internal DeviceProtocolException Unexpected(string command, params string[] answer) =>
        new(Name, Address.Text, $"'{command}'", DataLinkClient.Printable(string.Join('\n', answer)));

    /// <summary>Tells those who watch the device.</summary>
    internal void Tell(DeviceEventKind kind, string detail) => Publish(kind, detail);

    /// <inheritdoc/>
    protected override async ValueTask ReleaseAsync()
    {
        try
        {
            if (Volatile.Read(ref _acquisition) is { } running)
            {
                await running.DisposeAsync().ConfigureAwait(false);
            }
        }
        finally
        {
            await _transport.DisposeAsync().ConfigureAwait(false);
        }
    }

    private static string? ModelOf(string field) =>
        field.Contains("ID1000", StringComparison.OrdinalIgnoreCase) ? "ID1000"
        : field.Contains("ID900", StringComparison.OrdinalIgnoreCase) ? "ID900"
        : null;

    private static string Volts(double value) => string.Create(CultureInfo.InvariantCulture, $"{value:0.####}V");

    private static EdgeSlope? ReadEdge(string word) =>
        word.StartsWith("RISI", StringComparison.OrdinalIgnoreCase) ? EdgeSlope.Rising
        : word.StartsWith("FALL", StringComparison.OrdinalIgnoreCase) ? EdgeSlope.Falling
        : null;

    private static string? ReadWord(string line) => line.Length > 0 && line.All(char.IsAsciiLetter) ? line : null;

    private void AddInputParameters(int channel)
    {
        var (name, prefix) = (Inputs[channel], channel == 0 ? "start" : FormattableString.Invariant($"input_{channel}"));
        AddParameter(
            $"{prefix}_enabled",
            "",
            token => QueryValueAsync($"{name}:ENAB?", line => ScpiReply.TrySwitch(line, out var on) ? on : (bool?)null, token),
            (on, token) => CommandAsync($"{name}:ENAB {(on ? "ON" : "OFF")}", token));
        AddParameter(
            $"{prefix}_threshold",
            "V",
            token => QueryValueAsync($"{name}:THRE?", line => ScpiReply.TryNumber(line, out var volts, "V") ? volts : (double?)null, token),
            (volts, token) => CommandAsync($"{name}:THRE {Volts(volts)}", token),
            -_settings.ThresholdLimitVolts,
            _settings.ThresholdLimitVolts);
        AddParameter(
            $"{prefix}_edge",
            "",
            async token => await QueryValueAsync($"{name}:EDGE?", ReadEdge, token).ConfigureAwait(false) == EdgeSlope.Rising ? "rising" : "falling",
            (edge, token) => CommandAsync(
                $"{name}:EDGE {(ReadEdge(edge) ?? throw new FormatException($"{Name}: '{edge}' is neither rising nor falling.")).ToString().ToUpperInvariant()}",
                token));
        AddParameter(
            $"{prefix}_delay",
            "ps",
            token => QueryWholeAsync($"DELA{DelayBlock(channel)}:VALU?", token),
            (delay, token) => SetDelayAsync(channel, delay, token),
            0,
            MaximumDelayPicoseconds);
        AddParameter($"{prefix}_counts", "", token => QueryWholeAsync($"{name}:COUN?", token));
        AddParameter($"{prefix}_error", "", token => QueryWholeAsync($"{name}:HIRES:ERROR?", token));
    }

    /// <summary>The delay block that the driver uses for a channel: its own number, the fifth for STAR.</summary>
    private static int DelayBlock(int channel) => channel == 0 ? 5 : channel;

    // A block that adds nothing need not be linked, and is left where it is.
    private ValueTask SetDelayAsync(int channel, long picoseconds, CancellationToken cancellationToken) => CommandAsync(
        string.Create(CultureInfo.InvariantCulture, $"DELA{DelayBlock(channel)}:VALU {picoseconds}")
            + (picoseconds == 0 ? "" : $";LINK {Inputs[channel]}"),
        cancellationToken);

    private ValueTask<double> ReadBinWidthAsync(CancellationToken cancellationToken) => QueryValueAsync(
        "DEVI:RES:BWID?",
        line => ScpiReply.TryNumber(line, out var width, "TB", "ps") && width > 0 ? width : (double?)null,
        cancellationToken);

    private ValueTask<long> QueryWholeAsync(string query, CancellationToken cancellationToken) =>
        QueryValueAsync(query, line => ScpiReply.TryWhole(line, out var value, "TB", "ps") ? value : (long?)null, cancellationToken);

    private async ValueTask<T> QueryValueAsync<T>(string query, Func<string, T?> read, CancellationToken cancellationToken)
        where T : struct
    {
        ThrowIfUnusable();
        var answer = await AskAsync(query, 1, cancellationToken).ConfigureAwait(false);
        return read(answer[0]) ?? throw Unexpected(query, answer);
    }

    private async ValueTask<string> QueryAsync(string query, Func<string, string?> read, CancellationToken cancellationToken)
    {
        ThrowIfUnusable();
        var answer = await AskAsync(query, 1, cancellationToken).ConfigureAwait(false);
        return read(answer[0]) ?? throw Unexpected(query, answer);
    }

    private void Check(TagStreamRequest request)
    {
        if (request.Channels.Count == 0 || request.Channels.Distinct().Count() != request.Channels.Count)
        {
            throw new DeviceException(Name, Address.Text, $"the channels to read are {string.Join(", ", request.Channels)}: none, or one twice");
        }

        foreach (var channel in request.Channels)
        {
            RequireChannel(channel, 1);
        }

        if (request.ReferenceChannel is { } reference)
        {
            RequireChannel(reference, 0);
        }

        RequireRange(
            "sub-acquisition length",
            request.AcquisitionLength.TotalSeconds,
            TagAcquisition.ShortestLength.TotalSeconds,
            TagAcquisition.LongestLength.TotalSeconds,
            "s");
    }

    private void RequireChannel(int channel, int lowest) => RequireRange("channel", channel, lowest, Inputs.Length - 1, "");
}
