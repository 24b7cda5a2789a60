using System.Text.Json.Nodes;
using Qkd.Devices;
using Qkd.Transports;

namespace Qkd.Drivers.SingleQuantum.WebSq;

/// <summary>What the instrument tells about itself when it is opened, and the connection on which it did.</summary>
/// <param name="Connection">The control connection.</param>
/// <param name="ChannelCount">Number of detectors.</param>
/// <param name="Labels">The last message of each label.</param>
internal sealed record WebSqStart(WebSqConnection Connection, int ChannelCount, IReadOnlyDictionary<string, WebSqMessage> Labels)
{
    private const int MostDetectors = 1024;
    private const string WhatItShouldBe = "Single Quantum WebSQ (the label NumberOfDetectors in answer to labelProps)";

    /// <summary>Without these the role cannot be played.</summary>
    private static readonly string[] Required = [WebSqLabel.NumberOfDetectors, WebSqLabel.MeasurementPeriod, WebSqLabel.BiasCurrent];

    private static readonly string[] Wanted = [.. Required, WebSqLabel.TriggerLevel, WebSqLabel.DetectorEnable];

    /// <summary>Asks for all labels. The connection is closed again where they do not come.</summary>
    /// <exception cref="WrongDeviceException">Something answered, but not like a WebSQ.</exception>
    /// <exception cref="DeviceTimeoutException">Nothing answered.</exception>
    public static async ValueTask<WebSqStart> ReadAsync(
        DeviceOpenRequest request, WebSqSettings settings, IByteTransport transport, CancellationToken cancellationToken)
    {
        var connection = new WebSqConnection(transport, request.Name);
        try
        {
            return await ReadAsync(request, settings, connection, cancellationToken).ConfigureAwait(false);
        }
        catch
        {
            await connection.DisposeAsync().ConfigureAwait(false);
            throw;
        }
    }

    private static async ValueTask<WebSqStart> ReadAsync(
        DeviceOpenRequest request, WebSqSettings settings, WebSqConnection connection, CancellationToken cancellationToken)
    {
        var told = new Dictionary<string, WebSqMessage>();
        var gate = new Lock();
        using var timer = new CancellationTokenSource(settings.Timeout, request.Time);
        using var both = CancellationTokenSource.CreateLinkedTokenSource(timer.Token, cancellationToken);
        using var watch = connection.Expect("labelProps", message =>
        {
            lock (gate)
            {
                told[message.Label] = message;
                return Wanted.All(told.ContainsKey);
            }
        });
        try
        {
            await connection.SendAsync(WebSqLabel.RequestAll(), lastWords: false, both.Token).ConfigureAwait(false);
            await watch.Ended.WaitAsync(both.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException late) when (timer.IsCancellationRequested && !cancellationToken.IsCancellationRequested)
        {
            // Labels that are only wanted may be missing: then the instrument has no such quantity.
            string[] missing;
            lock (gate)
            {
                missing = [.. Required.Where(label => !told.ContainsKey(label))];
            }

            if (missing.Length > 0)
            {
                await connection.DisposeAsync().ConfigureAwait(false);
                throw told.Count > 0
                    ? Wrong($"labels {Short(told.Keys)} without {Short(missing)}")
                    : connection.Unfinished is { Length: > 0 } heard
                        ? Wrong($"'{heard}'")
                        : new DeviceTimeoutException(request.Name, request.Address.Text, "labelProps", settings.Timeout, late);
            }
        }
        catch (Exception other) when (other is DeviceProtocolException or DeviceRefusedException)
        {
            throw Wrong(other.Message);
        }

        lock (gate)
        {
            var number = told[WebSqLabel.NumberOfDetectors];
            return number.TryGetNumbers(out var numbers) && numbers is [var count] && count is >= 1 and <= MostDetectors && count == Math.Floor(count)
                ? new(connection, (int)count, new Dictionary<string, WebSqMessage>(told))
                : throw Wrong($"'{number.Text}' detectors");
        }

        WrongDeviceException Wrong(string found) => new(request.Name, request.Address.Text, WhatItShouldBe, found);
    }

    private static string Short(IEnumerable<string> labels) => WebSqMessage.Printable(string.Join(", ", labels));
}

/// <summary>Names of the protocol, and messages to the instrument.</summary>
internal static class WebSqLabel
{
    public const string NumberOfDetectors = "NumberOfDetectors";
    public const string MeasurementPeriod = "InptMeasurementPeriod";
    public const string BiasCurrent = "BiasCurrent";
    public const string BiasVoltage = "BiasVoltage";
    public const string TriggerLevel = "TriggerLevel";
    public const string DetectorEnable = "DetectorEnable";
    public const string AutoIvRunning = "StartAutoIV";
    public const string AutoIvResult = "BiasCurrentAutoIV";
    public const string AutoIvDarkCounts = "DarkCountsAutoIV";

    /// <summary>Asks for all labels with their properties.</summary>
    public static JsonObject RequestAll() => new() { ["request"] = "labelProps", ["value"] = "None" };

    /// <summary>Asks for one label.</summary>
    public static JsonObject Request(string label) => new() { ["request"] = label };

    /// <summary>A command, with the label that it changes where the protocol has one stand there.</summary>
    public static JsonObject Command(string command, string? label, JsonNode value)
    {
        var message = new JsonObject { ["command"] = command };
        if (label is not null)
        {
            message["label"] = label;
        }

        message["value"] = value;
        return message;
    }

    /// <summary>A list of numbers.</summary>
    public static JsonArray Numbers(IEnumerable<double> values) => [.. values.Select(value => (JsonNode)value)];
}
