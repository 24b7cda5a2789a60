using Qkd.Drivers.Thorlabs.Apt;
using Shouldly;

namespace Qkd.Drivers.Tests.Thorlabs;

public sealed class AptFrameTests
{
    [Fact]
    public void Requests_are_the_bytes_of_the_protocol_document()
    {
        Hex(AptFrame.Short(AptId.RequestHardwareInfo)).ShouldBe("050000005001");
        Hex(AptFrame.Short(AptId.SetChannelEnable, 1, 1)).ShouldBe("100201015001");
        Hex(AptFrame.Short(AptId.Home, 1)).ShouldBe("430401005001");
        Hex(AptFrame.Short(AptId.Stop, 1, 2)).ShouldBe("650401025001");
        // 45 degrees of a rotation mount, 409600/3 counts a degree.
        Hex(AptRequests.MoveAbsolute(1, 45 * 409600 / 3)).ShouldBe("53040600D001010000C05D00");
        Hex(new AptPolarizerParameters(50, 685, 25, 25, 25).ToFrame()).ShouldBe("30050C00D00100003200AD02190019001900");
    }

    [Fact]
    public void Reads_the_state_of_a_paddle()
    {
        var status = AptMotorStatus.TryRead(Received("91040E0081500400AD020000F6FF640000050080"))!;
        status.ShouldBe(new(
            4, 685, -10, 100, AptStatusBits.Enabled | AptStatusBits.Homed | AptStatusBits.Connected));
        status.Homed.ShouldBeTrue();
        status.InMotion.ShouldBeFalse();
    }

    [Fact]
    public void Reads_the_hardware_information()
    {
        var data = new byte[84];
        BitConverter.GetBytes(38000123u).CopyTo(data, 0);
        "MPC320\0\0"u8.CopyTo(data.AsSpan(4));
        data[12] = 44;
        (data[14], data[15], data[16]) = (4, 2, 1);
        (data[78], data[80], data[82]) = (3, 1, 3);

        var info = AptHardwareInfo.TryRead(Received("060054008150" + Convert.ToHexString(data)))!;

        info.ShouldBe(new(38000123, "MPC320", 44, "1.2.4", 3, 1, 3));
    }

    [Fact]
    public void Reads_back_the_parameters_it_writes()
    {
        var parameters = new AptPolarizerParameters(100, 1370, 1, 2, 3);
        var bytes = parameters.ToFrame().ToBytes();
        (bytes[0], bytes[4], bytes[5]) = (0x32, 0x81, 0x50);
        AptPolarizerParameters.TryRead(Received(Convert.ToHexString(bytes))).ShouldBe(parameters);
    }

    [Theory]
    [InlineData("910402008150AD02")]
    [InlineData("060004008150AD020000")]
    [InlineData("320502008150AD02")]
    public void A_message_that_is_too_short_is_none(string hex)
    {
        var frame = Received(hex);
        AptMotorStatus.TryRead(frame).ShouldBeNull();
        AptHardwareInfo.TryRead(frame).ShouldBeNull();
        AptPolarizerParameters.TryRead(frame).ShouldBeNull();
    }

    [Fact]
    public void Frames_are_found_however_the_stream_is_cut_and_whatever_zeros_stand_between_them()
    {
        string[] frames =
        [
            "120201010150",
            "91040E0081500100AD0200000000000000050080",
            "440404000150",
            "91040E0081500200000000000000000000000080",
            "320500008150",
            "320504008150DEADBEEF",
        ];
        var random = new Random(7);
        for (var round = 0; round < 2000; round++)
        {
            var expected = Enumerable.Range(0, 12).Select(_ => frames[random.Next(frames.Length)]).ToArray();
            var stream = Convert.FromHexString(string.Concat(expected.Select(frame => frame + new string('0', 2 * random.Next(9)))));
            var decoder = new AptDecoder();
            var found = new List<string>();
            for (var position = 0; position < stream.Length;)
            {
                var length = Math.Min(random.Next(1, 9), stream.Length - position);
                decoder.Append(stream.AsSpan(position, length));
                position += length;
                while (decoder.Next() is { } frame)
                {
                    found.Add(Hex(frame));
                }
            }

            found.ShouldBe(expected);
            decoder.Unintelligible.ShouldBe(0);
        }
    }

    [Fact]
    public void Garbage_is_counted_and_does_not_hide_the_frame_after_it()
    {
        var decoder = new AptDecoder();
        decoder.Append("hello world\r\n"u8);
        decoder.Append(Convert.FromHexString("440401000150"));
        decoder.Next()!.Id.ShouldBe(AptId.Homed);
        decoder.Next().ShouldBeNull();
        decoder.Unintelligible.ShouldBe(13);
        decoder.Heard.ShouldStartWith(Convert.ToHexString("hello"u8));
    }

    [Fact]
    public void A_stream_of_megabytes_is_decoded_in_bounded_memory_frame_by_frame()
    {
        var decoder = new AptDecoder();
        var piece = Convert.FromHexString(string.Concat(Enumerable.Repeat("91040E0081500100AD0200000000000000050080", 100)));
        var count = 0;
        for (var round = 0; round < 1000; round++)
        {
            decoder.Append(piece.AsSpan(0, 1001));
            decoder.Append(piece.AsSpan(1001));
            while (decoder.Next() is not null)
            {
                count++;
            }
        }

        count.ShouldBe(100_000);
    }

    private static string Hex(AptFrame frame) => Convert.ToHexString(frame.ToBytes());

    private static AptFrame Received(string hex)
    {
        var bytes = Convert.FromHexString(hex);
        AptFrame.TryRead(bytes, out var frame).ShouldBe(bytes.Length);
        return frame!;
    }
}
