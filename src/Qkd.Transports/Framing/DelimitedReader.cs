using System.Text;
using Qkd.Devices;

namespace Qkd.Transports.Framing;

/// <summary>
/// Cuts a byte stream into messages that end in a terminator byte: lines ending in LF, JSON messages ending in 0x17. One reader at a
/// time. Cancelling a read loses nothing: the bytes received so far count for the next.
/// </summary>
/// <param name="transport">The stream; not disposed with the reader.</param>
/// <param name="deviceName">The device's name, for messages.</param>
/// <param name="terminator">The last byte of each message.</param>
/// <param name="maximumLength">Longest message that can be one; more without a terminator is not this protocol.</param>
public sealed class DelimitedReader(IByteTransport transport, string deviceName, byte terminator = (byte)'\n', int maximumLength = 1 << 16)
{
    private byte[] _buffer = new byte[1024];
    private int _start;
    private int _end;
    private int _searched;

    /// <summary>What has been received of a message that is not complete yet. Only while no read is under way.</summary>
    public ReadOnlySpan<byte> Pending => _buffer.AsSpan(_start, _end - _start);

    /// <summary>Reads the next message, without its terminator.</summary>
    /// <exception cref="DeviceProtocolException">More than the maximum length arrived without a terminator; the bytes are thrown away.</exception>
    /// <exception cref="DeviceDisconnectedException">The connection is lost.</exception>
    public async ValueTask<byte[]> ReadAsync(CancellationToken cancellationToken)
    {
        while (true)
        {
            var found = _buffer.AsSpan(_searched, _end - _searched).IndexOf(terminator);
            if (found >= 0)
            {
                var message = _buffer.AsSpan(_start, _searched + found - _start).ToArray();
                _start = _searched = _searched + found + 1;
                return message;
            }

            _searched = _end;
            if (_end - _start > maximumLength)
            {
                var sample = Convert.ToHexString(_buffer.AsSpan(_start, 32));
                var length = _end - _start;
                Clear();
                throw new DeviceProtocolException(
                    deviceName, transport.Address.Text, "reading a message", $"{length} bytes without a terminator (0x{terminator:X2}), starting 0x{sample}");
            }

            MakeRoom();
            _end += await transport.ReadAsync(_buffer.AsMemory(_end), cancellationToken).ConfigureAwait(false);
        }
    }

    /// <summary>Reads the next message as text (Latin-1, so that any byte is a character), without a carriage return at its end.</summary>
    /// <inheritdoc cref="ReadAsync"/>
    public async ValueTask<string> ReadLineAsync(CancellationToken cancellationToken) =>
        Encoding.Latin1.GetString(await ReadAsync(cancellationToken).ConfigureAwait(false)).TrimEnd('\r');

    /// <summary>Throws away what has been received and not yet read from here; call <see cref="IByteTransport.DiscardInputAsync"/> for what lies before.</summary>
    public void Clear() => _start = _end = _searched = 0;

    private void MakeRoom()
    {
        if (_start > 0)
        {
            _buffer.AsSpan(_start, _end - _start).CopyTo(_buffer);
            _end -= _start;
            _searched -= _start;
            _start = 0;
        }

        if (_end == _buffer.Length)
        {
            Array.Resize(ref _buffer, _buffer.Length * 2);
        }
    }
}
