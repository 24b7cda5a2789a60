using System.Text.Json;
using Qkd.Devices;
using Qkd.Transports.Zmq;

namespace Qkd.Drivers.IdQuantique.Id900;

/// <summary>What the stream service says of one stream.</summary>
/// <param name="Acquisitions">Sub-acquisitions that have ended since the stream began.</param>
/// <param name="Timestamps">Timestamps of all of them together.</param>
/// <param name="Errors">Why the stream has stopped; empty while it is well.</param>
internal sealed record DataLinkStatus(long Acquisitions, long Timestamps, IReadOnlyList<string> Errors);

/// <summary>
/// The vendor's DataLinkTargetService, which makes public streams of the instrument's own data link: text commands, JSON answers.
/// </summary>
internal sealed class DataLinkClient : IAsyncDisposable
{
    private const int LongestQuotation = 200;

    private readonly ZmqRequestTransport _transport;
    private readonly string _deviceName;
    private readonly TimeSpan _timeout;

    private DataLinkClient(ZmqRequestTransport transport, string deviceName, TimeSpan timeout) =>
        (_transport, _deviceName, _timeout) = (transport, deviceName, timeout);

    /// <summary>Connects to the service.</summary>
    public static async ValueTask<DataLinkClient> ConnectAsync(
        DeviceOpenRequest request, Id900Settings settings, CancellationToken cancellationToken) => new(
            await ZmqRequestTransport.ConnectAsync(
                settings.StreamService, settings.Zmq(request), request.Transcript, "service", cancellationToken).ConfigureAwait(false),
            request.Name,
            settings.Timeout);

    /// <summary>The ids of all streams that the service runs.</summary>
    public ValueTask<IReadOnlyList<string>> ListAsync(CancellationToken cancellationToken) => AskAsync<IReadOnlyList<string>>(
        "list",
        answer => answer.ValueKind == JsonValueKind.Array && answer.EnumerateArray().All(id => id.ValueKind == JsonValueKind.String)
            ? [.. answer.EnumerateArray().Select(id => id.GetString()!)]
            : null,
        cancellationToken);

    /// <summary>Starts the stream of a channel and returns its id.</summary>
    public ValueTask<string> StartAsync(
        string instrument, int channel, int port, bool withReferenceIndex, CancellationToken cancellationToken) => AskAsync(
            FormattableString.Invariant(
                $"start-stream --address {instrument} --channel {channel} --stream-port {port}{(withReferenceIndex ? " --with-ref-index" : "")}"),
            answer => Member(answer, "id") is { ValueKind: JsonValueKind.String } id ? id.GetString() : null,
            cancellationToken);

    /// <summary>How a stream is doing.</summary>
    public ValueTask<DataLinkStatus> StatusAsync(string id, CancellationToken cancellationToken) =>
        AskAsync($"status --id {id}", ReadStatus, cancellationToken);

    /// <summary>Ends a stream.</summary>
    public async ValueTask StopAsync(string id, CancellationToken cancellationToken) =>
        await AskAsync($"stop --id {id}", answer => Member(answer, "status") is null ? null : "", cancellationToken).ConfigureAwait(false);

    /// <inheritdoc/>
    public ValueTask DisposeAsync() => _transport.DisposeAsync();

    private async ValueTask<T> AskAsync<T>(string command, Func<JsonElement, T?> read, CancellationToken cancellationToken)
        where T : class
    {
        var text = await _transport.RequestAsync(command, _timeout, cancellationToken).ConfigureAwait(false);
        try
        {
            using var answer = JsonDocument.Parse(text);
            return read(answer.RootElement)
                ?? throw (Member(answer.RootElement, "error") is { } error
                    ? new DeviceRefusedException(_deviceName, _transport.Address.Text, $"'{command}'", Describe(error))
                    : Unexpected(command, text, null));
        }
        catch (JsonException problem)
        {
            throw Unexpected(command, text, problem);
        }
    }

    private DeviceProtocolException Unexpected(string command, string text, Exception? inner) =>
        new(_deviceName, _transport.Address.Text, $"'{command}'", Printable(text), inner);

    private static DataLinkStatus? ReadStatus(JsonElement answer)
    {
        if (Count(answer, "acquisitions_count") is not { } acquisitions || Count(answer, "timestamps_count") is not { } timestamps)
        {
            return null;
        }

        var errors = new List<string>();
        if (Member(answer, "errors") is { ValueKind: JsonValueKind.Array } several)
        {
            errors.AddRange(several.EnumerateArray().Select(Describe));
        }

        if (Member(answer, "error") is { ValueKind: not JsonValueKind.Null } one && Describe(one) is { Length: > 0 } text && !errors.Contains(text))
        {
            errors.Add(text);
        }

        return new(acquisitions, timestamps, errors);
    }

    private static long? Count(JsonElement answer, string name) =>
        Member(answer, name) is { ValueKind: JsonValueKind.Number } number && number.TryGetInt64(out var value) && value >= 0 ? value : null;

    private static JsonElement? Member(JsonElement answer, string name) =>
        answer.ValueKind == JsonValueKind.Object && answer.TryGetProperty(name, out var value) ? value : null;

    private static string Describe(JsonElement error) =>
        (Member(error, "description") ?? error) is { ValueKind: JsonValueKind.String } text ? text.GetString()! : error.GetRawText();

    /// <summary>A text as it may stand in a message: not too long, nothing that a terminal would act on.</summary>
    public static string Printable(string text) =>
        "'" + string.Concat(text.Take(LongestQuotation).Select(character => char.IsControl(character) ? '.' : character))
        + (text.Length > LongestQuotation ? "...'" : "'");
}
