using Qkd.Devices;

namespace Qkd.Transports.Transcripts;

/// <summary>Records what passes through another transport.</summary>
internal sealed class RecordingTransport(IByteTransport inner, IWireTranscript transcript, string channel) : IByteTransport
{
    /// <inheritdoc/>
    public DeviceAddress Address => inner.Address;

    /// <inheritdoc/>
    public bool IsBroken => inner.IsBroken;

    /// <inheritdoc/>
    public ValueTask WriteAsync(ReadOnlyMemory<byte> data, CancellationToken cancellationToken)
    {
        // Before the write: a quick answer must not stand in the record before its question.
        transcript.Record(channel, sent: true, data.Span);
        return inner.WriteAsync(data, cancellationToken);
    }

    /// <inheritdoc/>
    public async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken)
    {
        var count = await inner.ReadAsync(buffer, cancellationToken).ConfigureAwait(false);
        transcript.Record(channel, sent: false, buffer.Span[..count]);
        return count;
    }

    /// <inheritdoc/>
    public ValueTask DiscardInputAsync(CancellationToken cancellationToken) => inner.DiscardInputAsync(cancellationToken);

    /// <inheritdoc/>
    public ValueTask DisposeAsync() => inner.DisposeAsync();
}
