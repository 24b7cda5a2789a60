using System.Text;
using System.Threading.Channels;
using Qkd.Devices;
using Qkd.Transports;
using Qkd.Transports.Framing;

namespace Qkd.Drivers.OzOptics.Dd100Mc;

/// <summary>
/// The line protocol: commands end in CR, answers are lines ending in CR LF, the last of them <c>Done</c>, then an empty line. The
/// line is listened to all the time, so that a pulled cable is noticed at once.
/// </summary>
internal sealed class Dd100McConnection : IAsyncDisposable
{
    private const int LinesKept = 256;

    private readonly IByteTransport _transport;
    private readonly DelimitedReader _reader;
    private readonly Action<string> _lost;
    private readonly CancellationTokenSource _closing = new();
    private readonly List<string> _answer = [];
    private readonly Task _listening;
    private readonly Channel<string> _lines = Channel.CreateBounded<string>(
        new BoundedChannelOptions(LinesKept) { FullMode = BoundedChannelFullMode.DropOldest, SingleWriter = true });

    private int _disposed;

    /// <summary>Takes over a transport and begins to listen.</summary>
    /// <param name="transport">The open line; closed with the connection.</param>
    /// <param name="deviceName">For messages.</param>
    /// <param name="lost">Called once when the connection breaks by itself.</param>
    public Dd100McConnection(IByteTransport transport, string deviceName, Action<string> lost)
    {
        (_transport, _lost) = (transport, lost);
        _reader = new(transport, deviceName, maximumLength: 4096);
        _listening = Task.Run(ListenAsync);
    }

    /// <summary>Sends a command.</summary>
    public ValueTask SendAsync(string command, CancellationToken cancellationToken) =>
        _transport.WriteAsync(Encoding.ASCII.GetBytes(command + "\r"), cancellationToken);

    /// <summary>Waits for the rest of an answer. When it is cut off, what it had got so far is forgotten.</summary>
    public async ValueTask<Dd100McReply> ReadReplyAsync(CancellationToken cancellationToken)
    {
        _answer.Clear();
        try
        {
            while (true)
            {
                var line = await _lines.Reader.ReadAsync(cancellationToken).ConfigureAwait(false);
                if (line.Equals("Done", StringComparison.OrdinalIgnoreCase))
                {
                    return new(_answer.ToArray());
                }

                _answer.Add(line);
            }
        }
        catch (ChannelClosedException closed) when (closed.InnerException is DeviceException fault)
        {
            throw new DeviceDisconnectedException(fault.Device, fault.Address, "while waiting for an answer", fault);
        }
    }

    /// <summary>What came from the line and made no answer, for messages; only once the connection is disposed of.</summary>
    public string Unanswering
    {
        get
        {
            while (_lines.Reader.TryRead(out var line))
            {
                _answer.Add(line);
            }

            var rest = Encoding.Latin1.GetString(_reader.Pending);
            return Printable(string.Join(" / ", rest.Length > 0 ? _answer.Append(rest) : _answer));
        }
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _disposed, 1) != 0)
        {
            return;
        }

        await _closing.CancelAsync().ConfigureAwait(false);
        await _listening.ConfigureAwait(false);
        await _transport.DisposeAsync().ConfigureAwait(false);
        _closing.Dispose();
    }

    private async Task ListenAsync()
    {
        while (true)
        {
            try
            {
                var line = (await _reader.ReadLineAsync(_closing.Token).ConfigureAwait(false)).Trim();
                if (line.Length > 0)
                {
                    _lines.Writer.TryWrite(line);
                }
            }
            catch (DeviceProtocolException)
            {
                // Kilobytes without a line's end: thrown away by the reader; whoever waits for an answer runs into his time limit.
            }
            catch (DeviceException fault)
            {
                _lines.Writer.TryComplete(fault);
                _lost(fault.Message);
                return;
            }
            catch (OperationCanceledException)
            {
                _lines.Writer.TryComplete();
                return;
            }
        }
    }

    private static string Printable(string text) =>
        string.Concat(text.Take(80).Select(character => character is >= ' ' and < '\x7F' ? character.ToString() : $"\\x{(int)character:X2}"));
}
