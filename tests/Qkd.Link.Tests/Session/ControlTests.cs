using System.Buffers.Binary;
using System.Collections.Concurrent;
using System.Text.Json;
using Qkd.Distillation;
using Qkd.Link.Wire;
using Shouldly;

namespace Qkd.Link.Tests.Session;

/// <summary>Messages about light and keying: they cost no key, and whoever alters them gains nothing by it.</summary>
public sealed class ControlTests
{
    private const int TagBytes = 32;

    [Fact]
    public async Task Neither_light_nor_an_alignment_that_never_ends_costs_a_tag()
    {
        await using var link = new TestLink();
        link.Keeper.IsAligned = false;
        link.Keeper.Questions = 200;
        await link.StartAsync();
        await link.UntilAsync(() => link.Keeper.Answers == 200, "two hundred questions about the slot");
        link.Light.Emitting.ShouldBeTrue();

        // Greeting and its end from Bob, the answer from Alice: that is all.
        link.BobKey.Sent.ShouldBe(2 * TagBytes);
        link.AliceKey.Sent.ShouldBe(TagBytes);
    }

    [Fact]
    public async Task What_the_key_stores_say_to_each_other_is_not_taken_without_a_tag()
    {
        await using var link = new TestLink();
        link.Tamper = (_, message) => message.Type == MessageType.Control ? WithTopic(message, LinkTopic.KeyStore) : message;
        await link.StartAsync();
        await link.EndedAsync();
        link.Alice.Ended.ShouldBeOfType<LinkProtocolException>();
        link.Alice.Asked.ShouldBe(0);
        link.Light.Emitting.ShouldBeFalse();
    }

    [Fact]
    public async Task A_request_that_is_sent_twice_ends_the_session()
    {
        await using var link = new TestLink();
        link.Keeper.IsAligned = false;
        link.Keeper.Questions = 2;
        link.Tamper = (from, message) => message.Type == MessageType.Control && message.Sequence == 3 ? message with { Sequence = 2 } : message;
        await link.StartAsync();
        await link.EndedAsync();
        link.Alice.Ended.ShouldBeOfType<LinkProtocolException>().Message.ShouldContain("replayed");
    }

    [Theory]
    [InlineData(-1)]
    [InlineData(long.MaxValue)]
    [InlineData(1001)]
    public async Task An_answer_about_the_first_slot_that_cannot_be_ends_the_session_and_nothing_else(long slot)
    {
        await using var link = new TestLink();
        link.Tamper = (_, message) => message.Type == MessageType.ControlReply ? WithNumber(message, slot) : message;
        await link.StartAsync();
        await link.EndedAsync();
        link.Bob.Ended.ShouldBeOfType<LinkProtocolException>();
    }

    [Theory]
    [InlineData(-1)]
    [InlineData(long.MaxValue)]
    public async Task An_answer_about_the_emitted_slot_that_would_make_alignment_wait_for_ever_ends_the_session(long slot)
    {
        await using var link = new TestLink();
        link.Keeper.IsAligned = false;
        link.Keeper.Questions = 1;
        link.Tamper = (_, message) => message.Type == MessageType.ControlReply && message.Sequence == 2 ? WithNumber(message, slot) : message;
        await link.StartAsync();
        await link.EndedAsync();
        link.Bob.Ended.ShouldBeOfType<LinkProtocolException>();
    }

    /// <summary>
    /// Eve announces detections in Bob's name before his own, of a frame whose pulses may not have left Alice yet, and is told its bases.
    /// That block is lost. Then she asks Alice to begin anew at a frame before it: were she to tell it again, in a block that Bob
    /// makes key from, Eve would hold that key.
    /// </summary>
    [Fact]
    public async Task No_forged_request_makes_Alice_tell_a_frame_in_two_blocks()
    {
        await using var link = new TestLink();
        var told = new ConcurrentBag<long>();
        var opened = new ConcurrentDictionary<long, (long First, int Count)>();
        var reopened = new ConcurrentBag<string>();
        var forged = 0L;
        link.Tamper = (from, message) =>
        {
            switch (message.Type)
            {
                case MessageType.BlockOpen:
                    using (var parameters = JsonDocument.Parse(message.Payload))
                    {
                        var (first, count) = (parameters.RootElement.GetProperty("FirstFrame").GetInt64(), parameters.RootElement.GetProperty("FrameCount").GetInt32());
                        opened[message.BlockId] = (first, count);
                        foreach (var frame in told.Where(frame => frame >= first && frame < first + count))
                        {
                            reopened.Add($"frame {frame} in block {message.BlockId}");
                        }
                    }

                    break;

                case MessageType.Matches:
                    told.Add(BinaryPrimitives.ReadInt64LittleEndian(message.Payload.Span));
                    break;

                // Bob's own detections are kept back meanwhile, so that both blocks stay open.
                case MessageType.Detections when forged != 0 && message.BlockId <= 2:
                    return null;

                case MessageType.Detections when message.BlockId == 1 && opened.TryGetValue(1, out var one) && opened.TryGetValue(2, out var two):
                    var number = BinaryPrimitives.ReadInt64LittleEndian(message.Payload.Span);
                    if (number == one.First + one.Count - 2 && Interlocked.CompareExchange(ref forged, two.First, 0) == 0)
                    {
                        var announcement = message.Payload.ToArray();
                        BinaryPrimitives.WriteInt64LittleEndian(announcement, two.First);
                        link.ForAlice.Enqueue(new(MessageType.Detections, 2, 1, 1, message.SentMicroseconds, announcement));
                    }

                    break;

                case MessageType.KeepAlive when from == LinkEnd.Bob:
                    if (forged > 0 && told.Contains(forged))
                    {
                        link.ForAlice.Enqueue(TestLink.Forge(LinkTopic.StartKeying, forged - 1));
                        forged = -1;
                    }

                    break;
            }

            return message;
        };
        await link.StartAsync(new() { Block = TimeSpan.FromSeconds(5), Request = TimeSpan.FromSeconds(5), KeepAlive = TimeSpan.FromMilliseconds(50) });
        await link.UntilAsync(() => Interlocked.Read(ref forged) == -1, "the forged request");
        var blocks = opened.Count;
        await link.UntilAsync(() => opened.Count > blocks || link.Alice.Ended is not null, "blocks after it");
        await link.StopAsync();
        reopened.ShouldBeEmpty();
        told.Distinct().Count().ShouldBe(told.Count);
        foreach (var block in link.Alice.Keys.Keys.Intersect(link.Bob.Keys.Keys))
        {
            link.Alice.Keys[block].ShouldBe(link.Bob.Keys[block]);
        }

        link.Bob.Keys.ShouldNotContainKey(2);
    }

    [Theory]
    [InlineData(LinkTopic.StartKeying, -1)]
    [InlineData(LinkTopic.StartKeying, long.MaxValue)]
    [InlineData(LinkTopic.StopKeying, -1)]
    [InlineData(LinkTopic.StopKeying, long.MaxValue)]
    public async Task Forged_frame_numbers_destroy_key_at_worst(LinkTopic topic, long frame)
    {
        await using var link = new TestLink();
        var sent = 0;
        link.Tamper = (from, message) =>
        {
            if (from == LinkEnd.Bob && message is { Type: MessageType.Detections, BlockId: 2 } && Interlocked.Exchange(ref sent, 1) == 0)
            {
                link.ForAlice.Enqueue(TestLink.Forge(topic, frame));
            }

            return message;
        };
        await link.StartAsync();
        await link.UntilAsync(() => sent == 1 && (!link.Bob.Keys.IsEmpty || link.Alice.Ended is not null), "a block of key, or the session's end");
        await link.StopAsync();
        foreach (var block in link.Bob.Keys)
        {
            link.Alice.Keys[block.Key].ShouldBe(block.Value);
        }
    }

    private static LinkMessage WithTopic(LinkMessage message, LinkTopic topic)
    {
        var content = message.Payload.ToArray();
        content[4] = (byte)topic;
        return message with { Payload = content };
    }

    private static LinkMessage WithNumber(LinkMessage message, long number)
    {
        var content = message.Payload.ToArray();
        BinaryPrimitives.WriteInt64LittleEndian(content.AsSpan(5), number);
        return message with { Payload = content };
    }
}
