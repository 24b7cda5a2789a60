using System.Threading.Channels;
using Qkd.Devices;
using Qkd.Transports.Zmq;

namespace Qkd.Drivers.IdQuantique.Id900;

/// <summary>What one channel has of one sub-acquisition.</summary>
/// <param name="Memory">Owner of the run's arrays.</param>
/// <param name="Run">The tags; without any the channel was silent.</param>
/// <param name="Unplaceable">Tags from before the first reference edge, left out of the run.</param>
/// <param name="ReceivedAt">When the last of them came; null if none did.</param>
internal sealed record TagPiece(TagMemory Memory, TagRun Run, long Unplaceable, DateTimeOffset? ReceivedAt);

/// <summary>
/// The stream of one channel, cut into sub-acquisitions. The service counts sub-acquisitions and timestamps; as long as it is asked
/// more often than they end, each count gives the exact length of the next one. Where several have ended at once, they are told
/// apart by the restart of the index and by empty messages, which some versions of the service send for silent ones.
/// </summary>
/// <remarks>
/// One reader. <see cref="Observe"/> may be called from another thread. Messages are taken from the socket all the time, so that a
/// lost stream is noticed at once and a silent channel never holds the instrument up; of those with tags only a few, so that a reader
/// who is behind does.
/// </remarks>
internal sealed class TagChannel : IAsyncDisposable
{
    private const long MostTags = 200_000_000;

    // An edge every nanosecond: faster than any input of the family counts.
    private const double MostEdgesPerPicosecond = 1e-3;
    private const int MessagesHeld = 2;

    private readonly int _number;
    private readonly bool _referenced;
    private readonly int _recordBytes;
    private readonly long _longestTime;
    private readonly long _mostEdges;
    private readonly ZmqPairReceiver _receiver;
    private readonly string _deviceName;
    private readonly TimeSpan _limit;
    private readonly TimeProvider _time;

    // Null stands for an empty message.
    private readonly Channel<ZmqMessage?> _messages = Channel.CreateUnbounded<ZmqMessage?>(new() { SingleWriter = true });
    private readonly Channel<(long Acquisitions, long Timestamps)> _counts = Channel.CreateUnbounded<(long, long)>();
    private readonly SemaphoreSlim _room = new(MessagesHeld);
    private readonly CancellationTokenSource _closing = new();
    private readonly Task _listening;
    private readonly Queue<TagPiece> _ready = new();
    private readonly List<int> _restarts = [];
    private readonly List<int> _silent = [];

    private (long Acquisitions, long Timestamps) _observed;
    private (long Acquisitions, long Timestamps) _done;
    private ZmqMessage? _message;
    private int _taken;
    private DateTimeOffset? _receivedAt;

    // Empty messages seen before the service counted their sub-acquisitions; negative for silent ones that were passed on before
    // their empty message came, if it ever comes.
    private long _emptyMessagesAhead;

    /// <summary>Takes over a connected stream and begins to listen.</summary>
    /// <param name="number">Channel number.</param>
    /// <param name="referenced">Whether records carry a reference index.</param>
    /// <param name="length">Length of a sub-acquisition, in picoseconds: no record of it can be later.</param>
    /// <param name="receiver">The stream; closed with the channel.</param>
    /// <param name="deviceName">For messages.</param>
    /// <param name="limit">How long timestamps that the service has counted may take to come.</param>
    /// <param name="time">Clock of that limit.</param>
    public TagChannel(int number, bool referenced, long length, ZmqPairReceiver receiver, string deviceName, TimeSpan limit, TimeProvider time)
    {
        (_number, _referenced, _receiver, _deviceName, _limit, _time) = (number, referenced, receiver, deviceName, limit, time);
        _recordBytes = referenced ? TagConversion.PairBytes : TagConversion.TimeBytes;
        (_longestTime, _mostEdges) = (length, 1 + (long)(length * MostEdgesPerPicosecond));
        _listening = Task.Run(ListenAsync);
    }

    /// <summary>Channel number.</summary>
    public int Number => _number;

    /// <summary>Takes what the service has counted.</summary>
    /// <exception cref="DeviceProtocolException">It counts backwards.</exception>
    public void Observe(DataLinkStatus status)
    {
        if (status.Acquisitions < _observed.Acquisitions || status.Timestamps < _observed.Timestamps)
        {
            throw Unexpected($"{status.Acquisitions} sub-acquisitions with {status.Timestamps} timestamps, after {_observed.Acquisitions} with {_observed.Timestamps}");
        }

        if (status.Acquisitions > _observed.Acquisitions)
        {
            _observed = (status.Acquisitions, status.Timestamps);
            _counts.Writer.TryWrite(_observed);
        }
    }

    /// <summary>Waits for the next sub-acquisition. The caller disposes of its memory.</summary>
    /// <exception cref="DeviceException">The stream broke off, stalls, or cannot be understood.</exception>
    public async ValueTask<TagPiece> NextAsync(CancellationToken cancellationToken)
    {
        if (_ready.TryDequeue(out var ready))
        {
            return ready;
        }

        DropEmptyMessages();
        var (acquisitions, timestamps) = await TakeAsync(_counts.Reader, cancellationToken).ConfigureAwait(false);
        var count = acquisitions - _done.Acquisitions;
        var tags = timestamps - _done.Timestamps;
        _done = (acquisitions, timestamps);
        if (tags > MostTags || count > MostTags)
        {
            throw Unexpected($"{count} sub-acquisitions with {tags} timestamps at once");
        }

        await CutAsync((int)count, (int)tags, cancellationToken).ConfigureAwait(false);
        return _ready.Dequeue();
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        await _closing.CancelAsync().ConfigureAwait(false);
        await _listening.ConfigureAwait(false);
        await _receiver.DisposeAsync().ConfigureAwait(false);
        _message?.Dispose();
        while (_messages.Reader.TryRead(out var unread))
        {
            unread?.Dispose();
        }

        foreach (var piece in _ready)
        {
            piece.Memory.Dispose();
        }

        _room.Dispose();
        _closing.Dispose();
    }

    private async Task ListenAsync()
    {
        Exception? end = null;
        try
        {
            while (true)
            {
                var message = await _receiver.ReceiveAsync(_closing.Token).ConfigureAwait(false);
                var length = message.Data.Length;
                if (length == 0 || length % _recordBytes != 0)
                {
                    message.Dispose();
                    if (length > 0)
                    {
                        throw Unexpected($"a message of {length} bytes, which is no multiple of {_recordBytes}");
                    }

                    _messages.Writer.TryWrite(null);
                    continue;
                }

                try
                {
                    await _room.WaitAsync(_closing.Token).ConfigureAwait(false);
                }
                catch (OperationCanceledException)
                {
                    message.Dispose();
                    throw;
                }

                _messages.Writer.TryWrite(message);
            }
        }
        catch (DeviceException problem)
        {
            end = problem;
        }
        catch (OperationCanceledException)
        {
            // Disposed of.
        }

        // What has been counted and has come is still read before this is met.
        _messages.Writer.TryComplete(end);
        _counts.Writer.TryComplete(end);
    }

    private async ValueTask CutAsync(int count, int tags, CancellationToken cancellationToken)
    {
        var memory = new TagMemory();
        try
        {
            var times = tags > 0 ? memory.Rent(tags) : [];
            var indexes = tags > 0 && _referenced ? memory.Rent(tags) : [];
            await ReadAsync(times, indexes, tags, cancellationToken).ConfigureAwait(false);
            var ends = await SplitAsync(tags, count, cancellationToken).ConfigureAwait(false);
            if (count == 1)
            {
                _ready.Enqueue(Piece(memory, times.AsMemory(0, tags), indexes.AsMemory(0, _referenced ? tags : 0)));
                return;
            }

            var start = 0;
            foreach (var end in ends)
            {
                _ready.Enqueue(Copy(times, indexes, start, end));
                start = end;
            }
        }
        catch
        {
            memory.Dispose();
            throw;
        }

        memory.Dispose();
    }

    private async ValueTask ReadAsync(long[] times, long[] indexes, int tags, CancellationToken cancellationToken)
    {
        _restarts.Clear();
        _silent.Clear();
        _receivedAt = null;
        if (tags > 0)
        {
            _silent.AddRange(Enumerable.Repeat(0, (int)Math.Max(0, _emptyMessagesAhead)));
            _emptyMessagesAhead = Math.Min(0, _emptyMessagesAhead);
        }

        var previous = long.MinValue;
        for (var read = 0; read < tags;)
        {
            while (_message is null)
            {
                await ReceiveAsync(read, cancellationToken).ConfigureAwait(false);
            }

            var unread = _message.Data[_taken..];
            var records = Math.Min(unread.Length / _recordBytes, tags - read);
            var bytes = unread.Span[..(records * _recordBytes)];
            var sound = _referenced
                ? TagConversion.SplitPairs(bytes, times.AsSpan(read), indexes.AsSpan(read), ref previous, read, _restarts)
                : TagConversion.CopyTimes(bytes, times.AsSpan(read), ref previous, read, _restarts);
            if (!sound)
            {
                throw Unexpected("a timestamp or an index beyond 2^63");
            }

            _receivedAt = _message.ReceivedAt;
            read += records;
            _taken += bytes.Length;
            if (_taken == _message.Data.Length)
            {
                _message.Dispose();
                _message = null;
                _room.Release();
            }
        }
    }

    private async ValueTask<int[]> SplitAsync(int tags, int count, CancellationToken cancellationToken)
    {
        if (tags == 0)
        {
            _emptyMessagesAhead -= count;
            return new int[count];
        }

        if (count == 1)
        {
            return _restarts.Count == 0
                ? [tags]
                : throw Unexpected($"an index that starts anew after {_restarts[0]} of the {tags} timestamps of one sub-acquisition");
        }

        int[]? ends;
        while ((ends = SubAcquisitions.Split(tags, _restarts, _silent, count)) is null && _message is null)
        {
            // Silent ones at the end: their empty messages may still be under way.
            await ReceiveAsync(tags, cancellationToken).ConfigureAwait(false);
        }

        return ends ?? throw Unexpected($"{tags} timestamps of {count} sub-acquisitions, which cannot be told apart: the service was asked too late");
    }

    private TagPiece Copy(long[] times, long[] indexes, int start, int end)
    {
        var memory = new TagMemory();
        var length = end - start;
        if (length == 0)
        {
            return Piece(memory, default, default);
        }

        var ownTimes = memory.Rent(length).AsMemory(0, length);
        times.AsMemory(start, length).CopyTo(ownTimes);
        Memory<long> ownIndexes = default;
        if (_referenced)
        {
            ownIndexes = memory.Rent(length).AsMemory(0, length);
            indexes.AsMemory(start, length).CopyTo(ownIndexes);
        }

        return Piece(memory, ownTimes, ownIndexes);
    }

    private TagPiece Piece(TagMemory memory, ReadOnlyMemory<long> times, ReadOnlyMemory<long> indexes)
    {
        // A tag before the first reference edge has index 0 and no time that means anything.
        var before = 0;
        foreach (var index in indexes.Span)
        {
            if (index != 0)
            {
                break;
            }

            before++;
        }

        Check(times.Span[before..], indexes.Span[Math.Min(before, indexes.Length)..]);
        return new(memory, new(_number, times[before..], indexes[before..]), before, times.IsEmpty ? null : _receivedAt);
    }

    /// <summary>Refuses what a sub-acquisition cannot hold. Within a piece the index never falls, so that its last one is the largest.</summary>
    private void Check(ReadOnlySpan<long> times, ReadOnlySpan<long> indexes)
    {
        var late = times.IndexOfAnyExceptInRange(0, _longestTime);
        if (late >= 0)
        {
            throw Unexpected($"a time of {times[late]} ps{(_referenced ? $" after reference edge {indexes[late]}" : "")}, record {late} of a sub-acquisition of {_longestTime} ps");
        }

        if (!indexes.IsEmpty && indexes[^1] > _mostEdges)
        {
            throw Unexpected($"reference edge {indexes[^1]} in a sub-acquisition of {_longestTime} ps, which holds {_mostEdges} at most");
        }
    }

    /// <summary>Takes the empty messages that have come before anything else.</summary>
    private void DropEmptyMessages()
    {
        while (_message is null && _messages.Reader.TryPeek(out var next) && next is null)
        {
            _messages.Reader.TryRead(out _);
            _emptyMessagesAhead++;
        }
    }

    private async ValueTask ReceiveAsync(int read, CancellationToken cancellationToken)
    {
        ZmqMessage? message;
        try
        {
            message = await TakeAsync(_messages.Reader, cancellationToken).AsTask().WaitAsync(_limit, _time, cancellationToken).ConfigureAwait(false);
        }
        catch (TimeoutException late)
        {
            throw new DeviceTimeoutException(
                _deviceName, _receiver.Address.Text, $"timestamps of channel {_number} that the service has counted", _limit, late);
        }

        if (message is not null)
        {
            // Empty ones still owed would have come before it: this service sends none.
            _emptyMessagesAhead = Math.Max(0, _emptyMessagesAhead);
            (_message, _taken) = (message, 0);
        }
        else if (_emptyMessagesAhead < 0)
        {
            _emptyMessagesAhead++;
        }
        else
        {
            // Behind the ones that are owed it is of a sub-acquisition that is being read now.
            _silent.Add(read);
        }
    }

    private static async ValueTask<T> TakeAsync<T>(ChannelReader<T> reader, CancellationToken cancellationToken)
    {
        try
        {
            return await reader.ReadAsync(cancellationToken).ConfigureAwait(false);
        }
        catch (ChannelClosedException closed) when (closed.InnerException is DeviceException problem)
        {
            throw problem;
        }
    }

    private DeviceProtocolException Unexpected(string received) =>
        new(_deviceName, _receiver.Address.Text, $"the stream of channel {_number}", received);
}
