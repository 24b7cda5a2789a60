using System.Buffers.Binary;
using System.Collections.Concurrent;
using System.Text;
using System.Threading.Channels;
using Qkd.Link.Wire;

namespace Qkd.Link.Session;

/// <summary>
/// Requests and replies outside blocks, both ways: one channel for those of the key stores, which are tagged, one for those about light
/// and keying, which are not. Neither answers what the other asked.
/// </summary>
internal sealed class RequestChannel
{
    private const int RequestsInFlight = 16;

    private readonly IRequestTransport _transport;
    private readonly ILinkRequestHandler _handler;
    private readonly TimeSpan _timeout;
    private readonly bool _control;
    private readonly bool _answers;
    private readonly ConcurrentDictionary<uint, TaskCompletionSource<ReadOnlyMemory<byte>>> _pending = new();
    private readonly Channel<(uint Id, LinkTopic Topic, ReadOnlyMemory<byte> Body)> _inOrder = Channel.CreateBounded<(uint, LinkTopic, ReadOnlyMemory<byte>)>(
        new BoundedChannelOptions(RequestsInFlight) { SingleReader = true, SingleWriter = true });
    private readonly Lock _gate = new();
    private readonly HashSet<Task> _answering = [];
    private uint _lastId;
    private bool _finished;

    /// <summary>Creates a channel.</summary>
    /// <param name="transport">Carries the messages.</param>
    /// <param name="handler">Answers the peer's requests.</param>
    /// <param name="timeout">How long an answer may take.</param>
    /// <param name="control">Whether it is for requests about light and keying. Those are answered one after another, in order.</param>
    /// <param name="answers">Whether this end answers such requests at all.</param>
    public RequestChannel(IRequestTransport transport, ILinkRequestHandler handler, TimeSpan timeout, bool control, bool answers) =>
        (_transport, _handler, _timeout, _control, _answers) = (transport, handler, timeout, control, answers);

    /// <summary>Whether a topic is about light and keying.</summary>
    public static bool IsControl(LinkTopic topic) => topic is not LinkTopic.KeyStore;

    /// <summary>Asks the peer and waits for the answer.</summary>
    /// <exception cref="LinkException">The peer refuses, or does not answer in time.</exception>
    public async ValueTask<ReadOnlyMemory<byte>> RequestAsync(LinkTopic topic, ReadOnlyMemory<byte> body, CancellationToken cancellationToken)
    {
        var id = Interlocked.Increment(ref _lastId);
        var answer = new TaskCompletionSource<ReadOnlyMemory<byte>>(TaskCreationOptions.RunContinuationsAsynchronously);
        _pending[id] = answer;
        try
        {
            await _transport.SendAsync(_control ? MessageType.Control : MessageType.Request, Content(id, (byte)topic, body), cancellationToken);
            return await answer.Task.WaitAsync(_timeout, cancellationToken);
        }
        catch (TimeoutException e)
        {
            throw new LinkException($"The peer did not answer the request {topic} within {_timeout.TotalSeconds:0.#} s.", e);
        }
        finally
        {
            _pending.TryRemove(id, out _);
        }
    }

    /// <summary>Takes a request or reply. Requests are answered on the thread pool.</summary>
    /// <exception cref="LinkException">It is not of the protocol, or its tag does not fit.</exception>
    public void Receive(LinkMessage message, CancellationToken cancellationToken)
    {
        var content = _transport.Open(message);
        if (content.Length < 5)
        {
            throw new LinkProtocolException($"A {message.Type} message is too short.");
        }

        var id = BinaryPrimitives.ReadUInt32LittleEndian(content.Span);
        var code = content.Span[4];
        var body = content[5..];
        if (message.Type is MessageType.Reply or MessageType.ControlReply)
        {
            TakeReply(id, code, body);
            return;
        }

        var topic = (LinkTopic)code;
        if (!Enum.IsDefined(topic) || IsControl(topic) != _control || !_answers)
        {
            throw new LinkProtocolException($"A {message.Type} message asks for {code}, which is not answered there.");
        }

        if (!_control)
        {
            Track(() => AnswerAsync(id, topic, body, cancellationToken));
        }
        else if (!_inOrder.Writer.TryWrite((id, topic, body)))
        {
            throw new LinkProtocolException($"The peer does not wait for answers: {RequestsInFlight} requests are open.");
        }
    }

    /// <summary>Answers requests one after another until cancelled, where their order counts.</summary>
    public async Task AnswerInOrderAsync(CancellationToken cancellationToken)
    {
        await foreach (var (id, topic, body) in _inOrder.Reader.ReadAllAsync(cancellationToken))
        {
            await AnswerAsync(id, topic, body, cancellationToken);
        }
    }

    /// <summary>The connection is gone: nobody will answer any more.</summary>
    public void Fail(Exception reason)
    {
        foreach (var pending in _pending.Values)
        {
            pending.TrySetException(reason);
        }
    }

    /// <summary>Begins nothing more and waits for what is being answered.</summary>
    public Task FinishAsync()
    {
        lock (_gate)
        {
            _finished = true;
            return Task.WhenAll(_answering);
        }
    }

    private static byte[] Content(uint id, byte code, ReadOnlyMemory<byte> body)
    {
        var content = new byte[5 + body.Length];
        BinaryPrimitives.WriteUInt32LittleEndian(content, id);
        content[4] = code;
        body.CopyTo(content.AsMemory(5));
        return content;
    }

    private void TakeReply(uint id, byte code, ReadOnlyMemory<byte> body)
    {
        if (!_pending.TryGetValue(id, out var pending))
        {
            return;
        }

        if (code == 0)
        {
            pending.TrySetResult(body);
        }
        else
        {
            pending.TrySetException(new LinkException($"The peer refuses: {SessionCore.Shorten(Encoding.UTF8.GetString(body.Span))}"));
        }
    }

    private void Track(Func<Task> work)
    {
        lock (_gate)
        {
            if (_finished)
            {
                return;
            }

            var task = Task.Run(work);
            _answering.Add(task);
            task.ContinueWith(
                done =>
                {
                    lock (_gate)
                    {
                        _answering.Remove(done);
                    }
                },
                CancellationToken.None,
                TaskContinuationOptions.ExecuteSynchronously,
                TaskScheduler.Default);
        }
    }

    private async Task AnswerAsync(uint id, LinkTopic topic, ReadOnlyMemory<byte> body, CancellationToken cancellationToken)
    {
        try
        {
            byte code = 0;
            ReadOnlyMemory<byte> answer;
            try
            {
                answer = await _handler.HandleAsync(topic, body, cancellationToken);
            }
            catch (Exception e) when (!cancellationToken.IsCancellationRequested)
            {
                code = 1;
                answer = Encoding.UTF8.GetBytes(SessionCore.Shorten(e.Message));
            }

            await _transport.SendAsync(_control ? MessageType.ControlReply : MessageType.Reply, Content(id, code, answer), cancellationToken);
        }
        catch (Exception e) when (e is LinkException or OperationCanceledException or ObjectDisposedException || cancellationToken.IsCancellationRequested)
        {
            // The connection ended while answering; the session's receive loop reports it.
        }
    }
}
