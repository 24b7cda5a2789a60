using System.Globalization;
using System.Net;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Qkd.Sim.Firmware.IdQuantique;

/// <summary>
/// The commands of the vendor's DataLinkTargetService, which turns the instrument's own data link into public streams:
/// <c>list</c>, <c>start-stream</c>, <c>status</c>, <c>stop</c>. Answers are JSON.
/// </summary>
/// <remarks>
/// After the vendor's public Python examples. Chosen here: a stream's id is the instrument's address with the data link's port (5556 for
/// channel 1), a channel has one stream at a time, and <c>start-save</c> is refused, since an emulated instrument has no
/// disk of its own to write to.
/// </remarks>
internal sealed class DataLinkService(
    TagRecorder recorder,
    TimeProvider time,
    IPAddress instrument,
    Action<TagStream> open,
    Action<TagStream> close)
{
    private const int FirstDataLinkPort = 5556;

    /// <summary>Runs a command and returns its answer. A stream's socket is bound before its id is answered and freed after its end.</summary>
    public string Execute(string message)
    {
        try
        {
            var words = Words(message);
            JsonNode answer = words switch
            {
                ["list"] => new JsonArray([.. Streams().Select(stream => JsonValue.Create(stream.Id))]),
                ["start-stream", .. var options] => StartStream(new Options(options)),
                ["start-save", ..] => throw new DataLinkException("start-save: this service has no disk to write to, use start-stream"),
                ["status", .. var options] => Status(Find(new Options(options))),
                ["stop", .. var options] => Stop(Find(new Options(options))),
                _ => throw new DataLinkException($"unknown command '{message}'"),
            };
            return answer.ToJsonString();
        }
        catch (DataLinkException exception)
        {
            return new JsonObject { ["error"] = Error(exception.Message) }.ToJsonString(JsonSerializerOptions.Default);
        }
    }

    private JsonObject StartStream(Options options)
    {
        RequireInstrument(options.Text("address"));
        var channel = options.Number("channel", 1, 4);
        var port = options.Number("stream-port", 1, ushort.MaxValue);
        var id = string.Create(CultureInfo.InvariantCulture, $"{options.Text("address")}:{FirstDataLinkPort + channel - 1}");
        if (recorder.Channels[channel - 1].Stream is { } running)
        {
            throw new DataLinkException($"channel {channel} already streams as '{running.Id}'");
        }

        var stream = new TagStream(id, channel, port, options.Flag("with-ref-index"), time.GetTimestamp());
        open(stream);
        recorder.Channels[channel - 1].Stream = stream;
        return new JsonObject { ["id"] = id };
    }

    private JsonObject Stop(TagStream stream)
    {
        var status = Status(stream);
        recorder.Remove(stream);
        close(stream);
        return new JsonObject { ["status"] = status };
    }

    private JsonObject Status(TagStream stream)
    {
        var status = new JsonObject
        {
            ["id"] = stream.Id,
            ["acquisitions_count"] = stream.Acquisitions,
            ["timestamps_count"] = stream.Timestamps,
            ["inactivity"] = time.GetElapsedTime(stream.LastActivity).TotalSeconds,
            ["errors"] = new JsonArray([.. stream.Errors.Select(Error)]),
        };
        if (stream.Errors is [var first, ..])
        {
            status["error"] = Error(first);
        }

        return status;
    }

    private IEnumerable<TagStream> Streams() => recorder.Channels.Select(channel => channel.Stream).OfType<TagStream>();

    private TagStream Find(Options options)
    {
        var id = options.Text("id");
        return Streams().FirstOrDefault(stream => stream.Id == id) ?? throw new DataLinkException($"no acquisition has the id '{id}'");
    }

    /// <summary>The service reaches one instrument, this one: on loopback under any of the machine's names for itself.</summary>
    private void RequireInstrument(string address)
    {
        var reachable = address.Equals("localhost", StringComparison.OrdinalIgnoreCase)
            ? IPAddress.IsLoopback(instrument)
            : IPAddress.TryParse(address, out var parsed)
                && (parsed.Equals(instrument) || (IPAddress.IsLoopback(parsed) && IPAddress.IsLoopback(instrument)));
        if (!reachable)
        {
            throw new DataLinkException($"no Time Controller answers at '{address}'");
        }
    }

    private static JsonObject Error(string description) => new() { ["description"] = description };

    private static string[] Words(string message) =>
        [.. ScpiBlock.Split(message.ReplaceLineEndings(" "), ' ').Where(word => word.Length > 0).Select(word => word.Trim('"'))];

    private sealed class DataLinkException(string message) : Exception(message);

    /// <summary>The <c>--name value</c> pairs behind a command.</summary>
    private sealed class Options(string[] words)
    {
        public string Text(string name)
        {
            var at = Array.IndexOf(words, $"--{name}");
            return at >= 0 && at + 1 < words.Length && !words[at + 1].StartsWith("--", StringComparison.Ordinal)
                ? words[at + 1]
                : throw new DataLinkException($"--{name} is missing");
        }

        public int Number(string name, int least, int most)
        {
            var text = Text(name);
            return int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var value) && value >= least && value <= most
                ? value
                : throw new DataLinkException($"--{name} must be {least} to {most}, not '{text}'");
        }

        public bool Flag(string name) => words.Contains($"--{name}");
    }

    /// <summary>Makes the error that a refused stream port is answered with.</summary>
    public static Exception PortRefused(int port, string reason) => new DataLinkException($"cannot stream on port {port}: {reason}");
}
