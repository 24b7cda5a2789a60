using System.Collections.Concurrent;
using System.Globalization;
using System.Threading.Channels;
using Qkd.Devices;
using Qkd.Transports.Zmq;

namespace Qkd.Drivers.IdQuantique.Id900;

/// <summary>
/// One run of the record generator with its streams, from start to stop: sub-acquisitions without end, joined over the channels into
/// batches. One loop asks for counts and errors, another cuts the streams and joins them.
/// </summary>
internal sealed class TagAcquisition(
    Id900TimeController device, DeviceOpenRequest opened, Id900Settings settings, TagStreamRequest request) : IAsyncDisposable
{
    /// <summary>Shortest sub-acquisition that the instrument delivers live.</summary>
    public static readonly TimeSpan ShortestLength = TimeSpan.FromMilliseconds(200);

    /// <summary>Longest one taken here: the instrument's memory and the host's hold no more at full rate.</summary>
    public static readonly TimeSpan LongestLength = TimeSpan.FromSeconds(5);

    /// <summary>Shortest time that the instrument allows between two, in picoseconds.</summary>
    public const long GapPicoseconds = 40_000;

    /// <summary>Batches held for the reader.</summary>
    public const int BatchesBuffered = 4;

    // How long the instrument may wait for the reader before it is told.
    private static readonly TimeSpan ReaderPatience = TimeSpan.FromSeconds(2);

    // Often enough that two sub-acquisitions never end between two questions.
    private const int QuestionsPerAcquisition = 5;
    private const long PicosecondsPerTick = 100_000;

    // How far one channel may be behind the others, in sub-acquisitions, and for how many questions in a row.
    private const long LargestLag = 4;
    private const int QuestionsWithLag = 4 * QuestionsPerAcquisition;

    private readonly Channel<TagBatch> _batches = Channel.CreateBounded<TagBatch>(
        new BoundedChannelOptions(BatchesBuffered) { SingleReader = false, SingleWriter = true });

    private readonly CancellationTokenSource _stopping = new();
    private readonly List<(TagChannel Tags, string Stream)> _channels = [];
    private readonly ConcurrentQueue<TagLoss> _losses = new();
    private readonly Lock _gate = new();
    private readonly long[] _lost = new long[request.Channels.Count];
    private DataLinkClient? _service;
    private Task _starting = Task.CompletedTask;
    private Task _running = Task.CompletedTask;
    private Task? _stopped;
    private bool _recording;
    private long _fewest;
    private int _lagging;

    /// <summary>The batches; ends with the reason why the stream broke off.</summary>
    public ChannelReader<TagBatch> Batches => _batches.Reader;

    private bool Referenced => request.ReferenceChannel is not null;

    private long WidthPicoseconds => request.AcquisitionLength.Ticks * PicosecondsPerTick;

    /// <summary>Sets the instrument up, connects to its streams and starts to record.</summary>
    public async ValueTask StartAsync(CancellationToken cancellationToken)
    {
        using var either = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, _stopping.Token);
        Task starting;
        lock (_gate)
        {
            ObjectDisposedException.ThrowIf(_stopped is not null, device);
            starting = _starting = PlayAsync(either.Token);
        }

        try
        {
            await starting.ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            throw new ObjectDisposedException(device.Name, "Disposed of while an acquisition was being started.");
        }
    }

    /// <summary>Stops recording, ends the streams and gives everything back. May be called from several sides; does it once.</summary>
    public ValueTask DisposeAsync()
    {
        lock (_gate)
        {
            return new(_stopped ??= StopAsync());
        }
    }

    private async Task PlayAsync(CancellationToken cancellationToken)
    {
        await device.CommandAsync("REC:STOP", cancellationToken).ConfigureAwait(false);
        await PrepareInputsAsync(cancellationToken).ConfigureAwait(false);
        _service = await DataLinkClient.ConnectAsync(opened, settings, cancellationToken).ConfigureAwait(false);
        await StopLeftoversAsync(cancellationToken).ConfigureAwait(false);
        foreach (var channel in request.Channels)
        {
            await OpenStreamAsync(channel, cancellationToken).ConfigureAwait(false);
        }

        var width = WidthPicoseconds;
        await device.CommandAsync("REC:TRIG:ARM:MODE MANUal", cancellationToken).ConfigureAwait(false);
        await device.CommandAsync("REC:ENABle ON", cancellationToken).ConfigureAwait(false);
        await device.CommandAsync("REC:NUM INF", cancellationToken).ConfigureAwait(false);
        await device.CommandAsync(
            string.Create(CultureInfo.InvariantCulture, $"REC:PWID {width};PPER {width + GapPicoseconds}"), cancellationToken).ConfigureAwait(false);
        _recording = true;
        await device.CommandAsync("REC:PLAY", cancellationToken).ConfigureAwait(false);
        RequirePlaying((await device.AskAsync("REC:STAGe?", 1, cancellationToken).ConfigureAwait(false))[0]);
        _running = Task.Run(RunAsync, CancellationToken.None);
    }

    private async ValueTask PrepareInputsAsync(CancellationToken cancellationToken)
    {
        foreach (var channel in request.Channels.Append(request.ReferenceChannel ?? request.Channels[0]).Distinct())
        {
            var name = Id900TimeController.InputName(channel);
            await device.CommandAsync($"{name}:ENAB ON;HIRES:ERROR:CLEAR", cancellationToken).ConfigureAwait(false);
        }

        var reference = request.ReferenceChannel is { } input ? Id900TimeController.InputName(input) : "NONE";
        foreach (var channel in device.TaggerCapabilities.Channels)
        {
            await device.CommandAsync(
                request.Channels.Contains(channel)
                    ? $"RAW{channel}:REF:LINK {reference};:RAW{channel}:ERRORS:CLEAR"
                    : $"RAW{channel}:SEND OFF",
                cancellationToken).ConfigureAwait(false);
        }
    }

    /// <summary>Ends streams of this instrument that somebody has left running: a channel has only one.</summary>
    private async ValueTask StopLeftoversAsync(CancellationToken cancellationToken)
    {
        foreach (var id in await _service!.ListAsync(cancellationToken).ConfigureAwait(false))
        {
            if (id.StartsWith(settings.InstrumentAddress + ":", StringComparison.OrdinalIgnoreCase))
            {
                device.Tell(DeviceEventKind.Warning, $"stream {id} had been left running and is stopped");
                await _service.StopAsync(id, cancellationToken).ConfigureAwait(false);
            }
        }
    }

    private async ValueTask OpenStreamAsync(int channel, CancellationToken cancellationToken)
    {
        var port = settings.StreamPort + channel - 1;
        var id = await _service!.StartAsync(settings.InstrumentAddress, channel, port, Referenced, cancellationToken).ConfigureAwait(false);
        try
        {
            var receiver = await ZmqPairReceiver.ConnectAsync(
                DeviceAddress.ForTcp(settings.StreamService.Host, port),
                settings.Zmq(opened),
                opened.Transcript,
                string.Create(CultureInfo.InvariantCulture, $"stream{channel}"),
                cancellationToken).ConfigureAwait(false);
            _channels.Add((new(channel, Referenced, WidthPicoseconds, receiver, device.Name, settings.StreamTimeout, device.Time), id));
        }
        catch
        {
            await TryAsync(() => _service.StopAsync(id, CancellationToken.None)).ConfigureAwait(false);
            throw;
        }

        await device.CommandAsync($"RAW{channel}:SEND ON", cancellationToken).ConfigureAwait(false);
    }

    private async Task RunAsync()
    {
        var asking = AskAsync();
        var joining = JoinAsync();
        var first = await Task.WhenAny(asking, joining).ConfigureAwait(false);
        await _stopping.CancelAsync().ConfigureAwait(false);
        await Task.WhenAll(asking, joining).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        var reason = Reason(first);
        if (reason is DeviceException)
        {
            device.Tell(DeviceEventKind.Fault, $"no tags any more: {reason.Message}");
        }

        _batches.Writer.TryComplete(reason);
    }

    private Exception Reason(Task ended) => ended.Exception?.InnerException switch
    {
        // Not the instrument's own connection: that stands, or is found broken when it is used.
        DeviceDisconnectedException lost when !device.IsBroken => new DeviceException(device.Name, device.Address.Text, $"a stream broke off: {lost.Message}", lost),
        { } problem => problem,
        null => new ObjectDisposedException(device.Name, "The acquisition was stopped."),
    };

    /// <summary>Asks the service what has ended and the instrument what it lost, for as long as the acquisition lasts.</summary>
    private async Task AskAsync()
    {
        var stop = _stopping.Token;
        var interval = request.AcquisitionLength / QuestionsPerAcquisition;
        var question = "REC:STAGe?" + string.Concat(request.Channels.Select(channel => $";:RAW{channel}:ERRORS?"));
        var statuses = new DataLinkStatus[_channels.Count];
        while (true)
        {
            for (var i = 0; i < statuses.Length; i++)
            {
                statuses[i] = await _service!.StatusAsync(_channels[i].Stream, stop).ConfigureAwait(false);
                if (statuses[i].Errors is [var error, ..])
                {
                    var problem = $"the stream of channel {_channels[i].Tags.Number} has stopped: {error}";
                    device.Tell(DeviceEventKind.Overload, problem);
                    throw new DeviceException(device.Name, device.Address.Text, problem);
                }
            }

            // Losses first: then they are there when the batch is made that they belong before.
            NoteLosses(question, await device.AskAsync(question, 1 + statuses.Length, stop).ConfigureAwait(false));
            for (var i = 0; i < statuses.Length; i++)
            {
                _channels[i].Tags.Observe(statuses[i]);
            }

            RequireEqualPace(statuses);

            await Task.Delay(interval, device.Time, stop).ConfigureAwait(false);
        }
    }

    /// <summary>A channel that is not counted any more would hold up all others for ever, without a word.</summary>
    private void RequireEqualPace(DataLinkStatus[] statuses)
    {
        var fewest = statuses.Min(status => status.Acquisitions);
        var behind = statuses.Max(status => status.Acquisitions) - fewest > LargestLag && fewest == _fewest;
        (_fewest, _lagging) = (fewest, behind ? _lagging + 1 : 0);
        if (_lagging >= QuestionsWithLag)
        {
            var counts = _channels.Zip(statuses, (channel, status) => $"{status.Acquisitions} on channel {channel.Tags.Number}");
            throw new DeviceException(
                device.Name, device.Address.Text, $"the stream service counts sub-acquisitions that should be equal: {string.Join(", ", counts)}");
        }
    }

    private void NoteLosses(string question, string[] answer)
    {
        RequirePlaying(answer[0]);
        for (var i = 0; i < _lost.Length; i++)
        {
            if (!ScpiReply.TryWhole(answer[i + 1], out var lost))
            {
                throw device.Unexpected(question, answer);
            }

            if (lost > _lost[i])
            {
                _losses.Enqueue(new(TagLossCause.InstrumentOverflow, null, lost - _lost[i]));
                device.Tell(DeviceEventKind.Overload, $"the instrument dropped {lost - _lost[i]} tags of channel {request.Channels[i]}");
            }

            _lost[i] = lost;
        }
    }

    private void RequirePlaying(string stage)
    {
        if (!stage.Equals("PLAYING", StringComparison.OrdinalIgnoreCase))
        {
            throw new DeviceException(device.Name, device.Address.Text, $"the record generator does not play: {DataLinkClient.Printable(stage)}");
        }
    }

    /// <summary>Joins the channels' sub-acquisitions into batches, waiting for the reader where he is behind.</summary>
    private async Task JoinAsync()
    {
        var stop = _stopping.Token;
        for (long number = 0; ; number++)
        {
            var pieces = new List<TagPiece>(_channels.Count);
            TagBatch? batch = null;
            try
            {
                foreach (var (tags, _) in _channels)
                {
                    pieces.Add(await tags.NextAsync(stop).ConfigureAwait(false));
                }

                batch = Join(number, pieces);
                await WriteAsync(batch, stop).ConfigureAwait(false);
            }
            catch
            {
                pieces.ForEach(piece => piece.Memory.Dispose());
                throw;
            }
        }
    }

    private TagBatch Join(long number, List<TagPiece> pieces)
    {
        var losses = new List<TagLoss>();
        if (number > 0)
        {
            losses.Add(new(TagLossCause.AcquisitionGap, GapPicoseconds, null));
        }

        while (_losses.TryDequeue(out var loss))
        {
            losses.Add(loss);
        }

        if (pieces.Sum(piece => piece.Unplaceable) is > 0 and var unplaceable)
        {
            losses.Add(new(TagLossCause.Unplaceable, null, unplaceable));
        }

        return new(new Memories(pieces))
        {
            TimeBase = Referenced ? TagTimeBase.Referenced : TagTimeBase.Absolute,
            Acquisition = number,
            AcquisitionStartPicoseconds = number * (WidthPicoseconds + GapPicoseconds),
            Runs = [.. pieces.Where(piece => piece.Run.Count > 0).Select(piece => piece.Run)],
            LossesBefore = losses,
            EndsAcquisition = true,
            ReceivedAt = pieces.Max(piece => piece.ReceivedAt) ?? device.Time.GetUtcNow(),
        };
    }

    private async ValueTask WriteAsync(TagBatch batch, CancellationToken stop)
    {
        if (_batches.Writer.TryWrite(batch))
        {
            return;
        }

        // A reader that catches up soon has cost nothing: what the instrument drops meanwhile, if it does, it tells by itself.
        var writing = _batches.Writer.WriteAsync(batch, stop).AsTask();
        try
        {
            // Stopping ends the writing itself: whether the batch was taken is then known.
            await writing.WaitAsync(ReaderPatience, device.Time, CancellationToken.None).ConfigureAwait(false);
        }
        catch (TimeoutException)
        {
            device.Tell(DeviceEventKind.Overload, $"the reader is {BatchesBuffered} batches behind: the instrument has to wait");
            await writing.ConfigureAwait(false);
            device.Tell(DeviceEventKind.Healthy, "the reader takes batches again");
        }
    }

    private async Task StopAsync()
    {
        await _stopping.CancelAsync().ConfigureAwait(false);
        await _starting.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        await _running.ConfigureAwait(false);
        var answers = !_recording || await TryAsync(() => device.CommandAsync("REC:STOP", CancellationToken.None)).ConfigureAwait(false);
        foreach (var (tags, stream) in _channels)
        {
            answers = answers && await TryAsync(
                () => device.CommandAsync($"RAW{tags.Number}:SEND OFF", CancellationToken.None)).ConfigureAwait(false);
            answers = answers && await TryAsync(() => _service!.StopAsync(stream, CancellationToken.None)).ConfigureAwait(false);
            await tags.DisposeAsync().ConfigureAwait(false);
        }

        if (_service is { } service)
        {
            await service.DisposeAsync().ConfigureAwait(false);
        }

        _batches.Writer.TryComplete();
        while (_batches.Reader.TryRead(out var unread))
        {
            unread.Dispose();
        }

        _stopping.Dispose();
    }

    /// <summary>Does something that may fail because nobody is there any more.</summary>
    private static async ValueTask<bool> TryAsync(Func<ValueTask> action)
    {
        try
        {
            await action().ConfigureAwait(false);
            return true;
        }
        catch (DeviceException)
        {
            return false;
        }
    }

    private sealed class Memories(List<TagPiece> pieces) : IDisposable
    {
        public void Dispose() => pieces.ForEach(piece => piece.Memory.Dispose());
    }
}
